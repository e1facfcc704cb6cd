/// A zlib stream (RFC 1950, 1951): LZ77 over hash chains, then one dynamic Huffman code for each block.
enum Deflate {
  /// The compressed bytes with zlib's header and checksum.
  static func zlib(_ bytes: [UInt8]) -> [UInt8] {
    var writer = BitWriter(bytes: [0x78, 0x9c])
    var matcher = Matcher(bytes)
    let tokens = matcher.tokens()
    var start = 0
    repeat {
      let end = min(start + blockTokens, tokens.count)
      write(tokens[start..<end], isLast: end == tokens.count, to: &writer)
      start = end
    } while start < tokens.count
    writer.align()
    let sum = adler32(bytes)
    return writer.bytes + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: sum >> $0) }
  }

  /// A literal byte (distance 0) or a copy of `length` bytes from `distance` bytes back.
  struct Token {
    let length: UInt16
    let distance: UInt16
  }

  private static let blockTokens = 1 << 15
  private static let endOfBlock = 256

  private static func write(_ tokens: ArraySlice<Token>, isLast: Bool, to writer: inout BitWriter) {
    var literalCounts = [Int](repeating: 0, count: 286)
    var distanceCounts = [Int](repeating: 0, count: 30)
    literalCounts[endOfBlock] = 1
    for token in tokens {
      guard token.distance > 0 else {
        literalCounts[Int(token.length)] += 1
        continue
      }
      literalCounts[257 + Symbols.length.index(of: Int(token.length))] += 1
      distanceCounts[Symbols.distance.index(of: Int(token.distance))] += 1
    }
    let literals = HuffmanCode(counts: literalCounts, longest: 15)
    let distances = HuffmanCode(counts: distanceCounts, longest: 15)

    writer.write(isLast ? 1 : 0, 1)
    writer.write(2, 2)
    writeCodes(literals, distances, to: &writer)
    for token in tokens {
      guard token.distance > 0 else {
        writer.write(literals, Int(token.length))
        continue
      }
      let length = Symbols.length.index(of: Int(token.length))
      writer.write(literals, 257 + length)
      writer.write(UInt32(Int(token.length) - Symbols.length.bases[length]), Symbols.length.extraBits[length])
      let distance = Symbols.distance.index(of: Int(token.distance))
      writer.write(distances, distance)
      writer.write(UInt32(Int(token.distance) - Symbols.distance.bases[distance]), Symbols.distance.extraBits[distance])
    }
    writer.write(literals, endOfBlock)
  }

  /// The code lengths of both codes, themselves Huffman-coded; runs of zeros are shortened (symbols 17 and 18).
  private static func writeCodes(_ literals: HuffmanCode, _ distances: HuffmanCode, to writer: inout BitWriter) {
    let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
    let lengths = literals.lengths + distances.lengths
    var symbols: [(symbol: Int, extra: UInt32, bits: Int)] = []
    var index = 0
    while index < lengths.count {
      let zeros = lengths[index...].prefix(138).prefix { $0 == 0 }.count
      switch zeros {
      case 11...: symbols.append((18, UInt32(zeros - 11), 7))
      case 3...: symbols.append((17, UInt32(zeros - 3), 3))
      default: symbols.append((lengths[index], 0, 0))
      }
      index += zeros >= 3 ? zeros : 1
    }
    var counts = [Int](repeating: 0, count: 19)
    for row in symbols { counts[row.symbol] += 1 }
    let code = HuffmanCode(counts: counts, longest: 7)
    let sent = max(4, (order.lastIndex { code.lengths[$0] > 0 } ?? 0) + 1)
    writer.write(UInt32(literals.lengths.count - 257), 5)
    writer.write(UInt32(distances.lengths.count - 1), 5)
    writer.write(UInt32(sent - 4), 4)
    for symbol in order.prefix(sent) { writer.write(UInt32(code.lengths[symbol]), 3) }
    for row in symbols {
      writer.write(code, row.symbol)
      writer.write(row.extra, row.bits)
    }
  }
}

/// Symbols that stand for a range of values: its lowest value and how many extra bits choose within it.
struct Symbols: Sendable {
  let bases: [Int]
  let extraBits: [Int]

  /// Copy lengths 3–258 (symbols 257 and on). 258 has a symbol of its own.
  static let length = Symbols(first: 3, ungrouped: 8, group: 4, count: 28, last: 258)
  /// Copy distances 1–32768.
  static let distance = Symbols(first: 1, ungrouped: 4, group: 2, count: 30, last: nil)

  private init(first: Int, ungrouped: Int, group: Int, count: Int, last: Int?) {
    var bases: [Int] = []
    var bits: [Int] = []
    var base = first
    for symbol in 0..<count {
      bases.append(base)
      bits.append(symbol < ungrouped ? 0 : (symbol - ungrouped) / group + 1)
      base += 1 << (bits.last ?? 0)
    }
    self.bases = bases + (last.map { [$0] } ?? [])
    extraBits = bits + (last == nil ? [] : [0])
  }

  /// The symbol of a value: the last whose base does not exceed it.
  func index(of value: Int) -> Int {
    var low = 0
    var high = bases.count - 1
    while low < high {
      let middle = (low + high + 1) / 2
      if bases[middle] <= value { low = middle } else { high = middle - 1 }
    }
    return low
  }
}

/// Bits, the least significant first.
struct BitWriter {
  private(set) var bytes: [UInt8]
  private var pending: UInt64 = 0
  private var count = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func write(_ value: UInt32, _ bits: Int) {
    pending |= UInt64(value) << UInt64(count)
    count += bits
    while count >= 8 {
      bytes.append(UInt8(truncatingIfNeeded: pending))
      pending >>= 8
      count -= 8
    }
  }

  mutating func write(_ code: HuffmanCode, _ symbol: Int) {
    write(code.codes[symbol], code.lengths[symbol])
  }

  /// Fills the last byte with zeros.
  mutating func align() {
    if count > 0 { write(0, 8 - count) }
  }
}
