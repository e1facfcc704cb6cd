/// Finds repetitions for deflate: chains of earlier positions with the same three bytes, greedy, bounded in depth.
struct Matcher {
  private let bytes: [UInt8]
  private var heads = [Int32](repeating: -1, count: 1 << 15)
  private var previous: [Int32]

  private static let shortest = 3
  private static let longest = 258
  private static let window = 1 << 15
  private static let depth = 32

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    previous = [Int32](repeating: -1, count: bytes.count)
  }

  /// The bytes as literals and copies, in order.
  mutating func tokens() -> [Deflate.Token] {
    var tokens: [Deflate.Token] = []
    var at = 0
    while at < bytes.count {
      let match = longestMatch(at)
      if match.length >= Self.shortest {
        tokens.append(Deflate.Token(length: UInt16(match.length), distance: UInt16(match.distance)))
        for position in at..<at + match.length { remember(position) }
        at += match.length
      } else {
        tokens.append(Deflate.Token(length: UInt16(bytes[at]), distance: 0))
        remember(at)
        at += 1
      }
    }
    return tokens
  }

  private func hash(_ at: Int) -> Int {
    let word = UInt32(bytes[at]) | UInt32(bytes[at + 1]) << 8 | UInt32(bytes[at + 2]) << 16
    return Int((word &* 0x9e37_79b1) >> 17)
  }

  private mutating func remember(_ at: Int) {
    guard at + Self.shortest <= bytes.count else { return }
    let slot = hash(at)
    previous[at] = heads[slot]
    heads[slot] = Int32(clamping: at)
  }

  private func longestMatch(_ at: Int) -> (length: Int, distance: Int) {
    guard at + Self.shortest <= bytes.count else { return (0, 0) }
    let limit = min(Self.longest, bytes.count - at)
    var best = (length: 0, distance: 0)
    var candidate = Int(heads[hash(at)])
    var left = Self.depth
    while candidate >= 0, at - candidate <= Self.window, left > 0, best.length < limit {
      var length = 0
      while length < limit, bytes[candidate + length] == bytes[at + length] { length += 1 }
      if length > best.length { best = (length, at - candidate) }
      candidate = Int(previous[candidate])
      left -= 1
    }
    return best
  }
}
