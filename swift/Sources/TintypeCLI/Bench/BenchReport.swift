import Tintype

/// One bar of a suite: medians of a figure and of its peer's or its limit's, of their ratio, and the ratio that it should
/// reach. Keys are those of Python's suites.
struct BenchRow: Encodable {
  let name: String
  let peer: String
  let rate: Double
  let limit: Double
  let ratio: Double
  let unit: String
  let bar: Double

  private enum CodingKeys: String, CodingKey {
    case name, peer, rate, limit, ratio, unit, bar, passes
  }

  var passes: Bool { ratio >= bar }

  func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(name, forKey: .name)
    try values.encode(peer, forKey: .peer)
    try values.encode(rate, forKey: .rate)
    try values.encode(limit, forKey: .limit)
    try values.encode(ratio, forKey: .ratio)
    try values.encode(unit, forKey: .unit)
    try values.encode(bar, forKey: .bar)
    try values.encode(passes, forKey: .passes)
  }

  var cells: [String] {
    [
      name, peer, "\(decimals(rate, 1)) \(unit)", "\(decimals(limit, 1)) \(unit)", decimals(ratio, 2), decimals(bar, 2),
      passes ? "yes" : "NO",
    ]
  }
}

/// All rows of a suite; as JSON they are a list.
struct BenchReport: Encodable {
  let rows: [BenchRow]
  /// What the rows do not say: routes that were not measured, other processes' work.
  let notes: [String]

  func encode(to encoder: any Encoder) throws { try rows.encode(to: encoder) }

  /// The report as Markdown.
  var text: String {
    let head = ["case", "against", "measured", "limit", "ratio", "bar", "met"]
    let lines = [head, head.map { _ in "---" }] + rows.map(\.cells)
    let table = lines.map { "| \($0.joined(separator: " | ")) |" }
    return (table + (notes.isEmpty ? [] : [""] + notes)).joined(separator: "\n")
  }
}

/// Seconds of both pieces of work, in turn, after one run of each that fills the caches. Of `repeats` runs in a row the
/// fastest counts: what interrupts one is not the work's.
func inTurn(
  _ work: () throws -> Void, _ peer: () throws -> Void, rounds: Int = 9, repeats: Int = 3
) throws -> [(work: Double, peer: Double)] {
  func best(_ body: () throws -> Void) throws -> Double {
    try Task.checkCancellation()
    return try (0..<repeats).map { _ in try ContinuousClock().measure(body).seconds }.min() ?? .nan
  }
  _ = (try best(work), try best(peer))
  return try (0..<rounds).map { _ in (try best(work), try best(peer)) }
}
