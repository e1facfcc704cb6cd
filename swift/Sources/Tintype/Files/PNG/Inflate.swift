/// Reads zlib streams (RFC 1950, 1951). Damaged ones throw, and none makes more bytes than it is allowed to.
struct Inflate {
  enum Damage: Error, Equatable { case header, block, code, distance, tooLong, checksum, truncated }

  private let bytes: [UInt8]
  private var position: Int
  private var pending: UInt32 = 0
  private var available = 0
  private var output: [UInt8] = []
  private let limit: Int

  /// The contents; `limit` bounds their size.
  static func zlib(_ bytes: [UInt8], limit: Int) throws -> [UInt8] {
    let deflate: UInt8 = 8
    let presetDictionary: UInt8 = 0x20
    guard bytes.count > 6, bytes[0] & 15 == deflate, bytes[1] & presetDictionary == 0,
      (Int(bytes[0]) << 8 | Int(bytes[1])).isMultiple(of: 31)
    else { throw Damage.header }
    var reader = Inflate(bytes: bytes, position: 2, limit: limit)
    while try !reader.block() {}
    let sum = try (0..<4).reduce(UInt32(0)) { sum, _ in sum << 8 | UInt32(try reader.alignedByte()) }
    guard sum == adler32(reader.output) else { throw Damage.checksum }
    return reader.output
  }

  private init(bytes: [UInt8], position: Int, limit: Int) {
    self.bytes = bytes
    self.position = position
    self.limit = limit
  }

  /// Up to 16 bits, the first one lowest.
  private mutating func bits(_ count: Int) throws -> Int {
    while available < count {
      guard position < bytes.count else { throw Damage.truncated }
      pending |= UInt32(bytes[position]) << UInt32(available)
      position += 1
      available += 8
    }
    defer {
      pending >>= UInt32(count)
      available -= count
    }
    return Int(pending & (1 << UInt32(count) - 1))
  }

  /// The next whole byte. Never more than seven bits of a byte are pending.
  private mutating func alignedByte() throws -> UInt8 {
    (pending, available) = (0, 0)
    guard position < bytes.count else { throw Damage.truncated }
    defer { position += 1 }
    return bytes[position]
  }

  /// One block; true for the last.
  private mutating func block() throws -> Bool {
    let isLast = try bits(1) == 1
    switch try bits(2) {
    case 0: try stored()
    case 1:
      let lengths = (0..<288).map { $0 < 144 ? 8 : $0 < 256 ? 9 : $0 < 280 ? 7 : 8 }
      try copy(Code(lengths), Code(Array(repeating: 5, count: 30)))
    case 2:
      let (literals, distances) = try codes()
      try copy(literals, distances)
    default: throw Damage.block
    }
    return isLast
  }

  private mutating func stored() throws {
    let header = try (0..<4).map { _ in Int(try alignedByte()) }
    let length = header[0] | header[1] << 8
    guard header[2] | header[3] << 8 == ~length & 0xffff else { throw Damage.block }
    guard position + length <= bytes.count else { throw Damage.truncated }
    guard output.count + length <= limit else { throw Damage.tooLong }
    output += bytes[position..<position + length]
    position += length
  }

  /// The two codes of a dynamic block, whose lengths are themselves coded.
  private mutating func codes() throws -> (Code, Code) {
    let (literals, distances, sent) = (try bits(5) + 257, try bits(5) + 1, try bits(4) + 4)
    var lengths = [Int](repeating: 0, count: 19)
    for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15].prefix(sent) {
      lengths[symbol] = try bits(3)
    }
    let code = Code(lengths)
    var all: [Int] = []
    while all.count < literals + distances {
      switch try symbol(code) {
      case 16:
        guard let last = all.last else { throw Damage.code }
        all += Array(repeating: last, count: try bits(2) + 3)
      case 17: all += Array(repeating: 0, count: try bits(3) + 3)
      case 18: all += Array(repeating: 0, count: try bits(7) + 11)
      case let length: all.append(length)
      }
    }
    guard all.count == literals + distances else { throw Damage.code }
    return (Code(Array(all[..<literals])), Code(Array(all[literals...])))
  }

  private mutating func copy(_ literals: Code, _ distances: Code) throws {
    let endOfBlock = 256
    while true {
      let symbol = try symbol(literals)
      if symbol == endOfBlock { return }
      if symbol < endOfBlock {
        guard output.count < limit else { throw Damage.tooLong }
        output.append(UInt8(symbol))
        continue
      }
      let length = try value(Symbols.length, symbol - endOfBlock - 1)
      let distance = try value(Symbols.distance, try self.symbol(distances))
      guard distance <= output.count else { throw Damage.distance }
      guard output.count + length <= limit else { throw Damage.tooLong }
      for _ in 0..<length { output.append(output[output.count - distance]) }
    }
  }

  private mutating func value(_ symbols: Symbols, _ index: Int) throws -> Int {
    guard index < symbols.bases.count else { throw Damage.code }
    return symbols.bases[index] + (try bits(symbols.extraBits[index]))
  }

  private mutating func symbol(_ code: Code) throws -> Int {
    var (value, first, index) = (0, 0, 0)
    for length in 1...15 {
      value |= try bits(1)
      let count = code.counts[length]
      if value - first < count { return code.symbols[index + value - first] }
      index += count
      first = (first + count) << 1
      value <<= 1
    }
    throw Damage.code
  }

  /// A canonical code: how many symbols each length has, and the symbols in order of their codes.
  private struct Code {
    var counts = [Int](repeating: 0, count: 16)
    var symbols: [Int] = []

    init(_ lengths: [Int]) {
      for length in lengths where length > 0 { counts[length] += 1 }
      for length in 1...15 { symbols += lengths.indices.filter { lengths[$0] == length } }
    }
  }
}
