/// A canonical, length-limited Huffman code, as deflate wants it: the bits of `codes` come out most significant first
/// and are therefore stored reversed.
struct HuffmanCode {
  let lengths: [Int]
  let codes: [UInt32]

  /// Symbols with count 0 get no code. A code of fewer than two symbols gets a second one: some decoders refuse
  /// incomplete codes.
  init(counts: [Int], longest: Int) {
    var counts = counts
    for symbol in counts.indices where counts.lazy.filter({ $0 > 0 }).count < 2 && counts[symbol] == 0 {
      counts[symbol] = 1
    }
    lengths = Self.lengths(counts, longest: longest)
    codes = Self.codes(lengths)
  }

  /// Package-merge (Larmore and Hirschberg): in every round the coins of the last one are paired and put among the
  /// symbols' own; the cheapest 2n − 2 of the last round say how often, so how deep, each symbol occurs.
  private static func lengths(_ counts: [Int], longest: Int) -> [Int] {
    let coins = counts.indices.filter { counts[$0] > 0 }.map { (weight: counts[$0], symbols: [$0]) }
      .sorted { $0.weight < $1.weight }
    var lengths = [Int](repeating: 0, count: counts.count)
    guard coins.count > 1 else { return lengths }
    var row = coins
    for _ in 1..<longest {
      let pairs = stride(from: 0, to: row.count - 1, by: 2).map { index in
        (weight: row[index].weight + row[index + 1].weight, symbols: row[index].symbols + row[index + 1].symbols)
      }
      row = (coins + pairs).sorted { $0.weight < $1.weight }
    }
    for coin in row.prefix(2 * coins.count - 2) {
      for symbol in coin.symbols { lengths[symbol] += 1 }
    }
    return lengths
  }

  private static func codes(_ lengths: [Int]) -> [UInt32] {
    var next: UInt32 = 0
    var codes = [UInt32](repeating: 0, count: lengths.count)
    for length in 1...15 {
      for symbol in lengths.indices where lengths[symbol] == length {
        codes[symbol] = (0..<length).reduce(0) { $0 | (next >> UInt32($1) & 1) << UInt32(length - 1 - $1) }
        next += 1
      }
      next <<= 1
    }
    return codes
  }
}
