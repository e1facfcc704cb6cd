/// A decompressor for the tests (RFC 1951), written against the text of the standard and not against `Deflate`.
struct Inflate {
  struct Damaged: Error {}

  private let bytes: [UInt8]
  private var position: Int
  private var bit = 0
  private var output: [UInt8] = []

  /// The contents of a zlib stream; checks its header and its Adler-32.
  static func zlib(_ bytes: [UInt8]) throws -> [UInt8] {
    guard bytes.count > 6, bytes[0] & 15 == 8, (Int(bytes[0]) << 8 | Int(bytes[1])) % 31 == 0 else { throw Damaged() }
    var reader = Inflate(bytes: bytes, position: 2)
    while try !reader.block() {}
    let sum = bytes.suffix(4).reduce(0) { $0 << 8 | Int($1) }
    var (a, b) = (1, 0)
    for byte in reader.output {
      a = (a + Int(byte)) % 65521
      b = (b + a) % 65521
    }
    guard sum == b << 16 | a else { throw Damaged() }
    return reader.output
  }

  private init(bytes: [UInt8], position: Int) {
    self.bytes = bytes
    self.position = position
  }

  private mutating func bits(_ count: Int) throws -> Int {
    var value = 0
    for index in 0..<count {
      guard position < bytes.count else { throw Damaged() }
      value |= Int(bytes[position] >> UInt8(bit) & 1) << index
      bit = (bit + 1) % 8
      if bit == 0 { position += 1 }
    }
    return value
  }

  /// One block; true for the last.
  private mutating func block() throws -> Bool {
    let isLast = try bits(1) == 1
    switch try bits(2) {
    case 0:
      if bit != 0 { (bit, position) = (0, position + 1) }
      let length = try bits(16)
      guard try bits(16) == ~length & 0xFFFF, position + length <= bytes.count else { throw Damaged() }
      output += bytes[position..<position + length]
      position += length
    case 1:
      let lengths = (0..<288).map { $0 < 144 ? 8 : $0 < 256 ? 9 : $0 < 280 ? 7 : 8 }
      try copy(Code(lengths), Code(Array(repeating: 5, count: 30)))
    case 2:
      let (literals, distances) = try codes()
      try copy(literals, distances)
    default: throw Damaged()
    }
    return isLast
  }

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
        guard let last = all.last else { throw Damaged() }
        all += Array(repeating: last, count: try bits(2) + 3)
      case 17: all += Array(repeating: 0, count: try bits(3) + 3)
      case 18: all += Array(repeating: 0, count: try bits(7) + 11)
      case let length: all.append(length)
      }
    }
    return (Code(Array(all.prefix(literals))), Code(Array(all[literals...].prefix(distances))))
  }

  private mutating func copy(_ literals: Code, _ distances: Code) throws {
    let lengthBases = [
      3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
    ]
    let lengthBits = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0]
    let distanceBases = [
      1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
      8193, 12289, 16385, 24577,
    ]
    let distanceBits = [0, 0, 0, 0] + (1...13).flatMap { [$0, $0] }
    while true {
      let symbol = try symbol(literals)
      if symbol == 256 { return }
      if symbol < 256 {
        output.append(UInt8(symbol))
        continue
      }
      guard symbol - 257 < lengthBases.count else { throw Damaged() }
      let length = lengthBases[symbol - 257] + (try bits(lengthBits[symbol - 257]))
      let far = try self.symbol(distances)
      guard far < distanceBases.count else { throw Damaged() }
      let distance = distanceBases[far] + (try bits(distanceBits[far]))
      guard distance <= output.count else { throw Damaged() }
      for _ in 0..<length { output.append(output[output.count - distance]) }
    }
  }

  private mutating func symbol(_ code: Code) throws -> Int {
    var value = 0
    for length in 1...15 {
      value = value << 1 | (try bits(1))
      if let symbol = code.symbols[length << 16 | value] { return symbol }
    }
    throw Damaged()
  }

  /// Symbols by their length and canonical code.
  private struct Code {
    var symbols: [Int: Int] = [:]

    init(_ lengths: [Int]) {
      var next = 0
      for length in 1...15 {
        for symbol in lengths.indices where lengths[symbol] == length {
          symbols[length << 16 | next] = symbol
          next += 1
        }
        next <<= 1
      }
    }
  }
}
