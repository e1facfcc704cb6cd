import Foundation
import Tintype

/// Suite `overhead`: what a prediction costs more through Swift than through the C ABI, in turn within one run.
struct OverheadSuite {
  let kinds: [BackendKind]
  let predictions: Int

  /// Microseconds.
  private static let bar = 20.0
  /// A difference is not known better than this.
  private static let resolution = 0.1

  func run() async throws -> BenchReport {
    let package = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).mlpackage")
    defer { try? FileManager.default.removeItem(at: package) }
    var program = BenchProgram(shape: [4])
    try program.apply("mul", row: [2, 2, 2, 2])
    try program.write(to: package)
    let found = try await PackageBench(
      package: package, kinds: BackendKind.allCases, units: .cpuOnly, count: predictions
    )
    .run()
    let notes = found.unavailable.sorted { $0.key < $1.key }.map { "\($0) not measured: \($1)" }
    guard let bare = found.microseconds["c_abi"] else { throw NothingRuns(reasons: found.unavailable) }
    let rows = kinds.compactMap { kind in
      found.microseconds[kind.rawValue].map { Self.row("Swift on \(label(of: kind)), over the C ABI", $0 - bare) }
    }
    let own = BenchRow(
      name: "the C ABI itself, a one-op model", peer: "30 µs", rate: bare, limit: 30, ratio: 30 / bare, unit: "µs",
      bar: 1)
    return BenchReport(rows: rows + [own], notes: notes)
  }

  static func row(_ name: String, _ microseconds: Double) -> BenchRow {
    BenchRow(
      name: name, peer: "\(shortNumber(bar)) µs", rate: microseconds, limit: bar,
      ratio: bar / max(microseconds, resolution), unit: "µs", bar: 1)
  }
}
