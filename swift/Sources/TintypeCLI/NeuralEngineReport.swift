import Foundation
import Tintype

/// `tintype inspect --neural-engine`: where Core ML means to run each operation. As JSON it has the keys of Python's
/// command, whose forecast by rules is not made here.
struct NeuralEngineReport: Encodable {
  private let forecast = false
  private let path: String
  private let plans: [String: Plan]
  private let units: ComputeUnits
  private let order: [String]

  private enum CodingKeys: String, CodingKey {
    case forecast, path
    case plans = "compute_plans"
  }

  private struct Plan: Encodable {
    let report: ComputePlanReport
    let units: ComputeUnits

    private enum CodingKeys: String, CodingKey {
      case implementation, units
    }

    func encode(to encoder: any Encoder) throws {
      try report.encode(to: encoder)
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(CoreMLPlatform.implementation, forKey: .implementation)
      try values.encode(units, forKey: .units)
    }
  }

  /// A package and what the report calls it.
  typealias Row = (name: String, package: URL)

  private static let shownOperations = 12
  /// Costs that should add up to 1 may miss it by this.
  private static let rounding = 1e-6
  private static let devices: [ComputePlanReport.Device] = [.neuralEngine, .gpu, .cpu]

  init(_ rows: [Row], path: String, units: ComputeUnits) async throws {
    (self.path, self.units, order) = (path, units, rows.map(\.name))
    var plans: [String: Plan] = [:]
    for row in rows {
      try Task.checkCancellation()
      plans[row.name] = Plan(report: try await CoreMLBackend().computePlan(of: row.package, units: units), units: units)
    }
    self.plans = plans
  }

  var text: String {
    var lines = [
      CoreMLPlatform.isApples
        ? "Core ML's compute plan for units \(units.rawValue): what it prefers, before anything runs."
        : "This Core ML is the portable one, not Apple's: every operation runs on the CPU, without cost estimates. "
          + "On a Mac, this shows what Core ML puts on the Neural Engine; here, Python's "
          + "`tintype inspect --neural-engine` forecasts it by rules, op by op.", "",
    ]
    var rows = [["package", "on the Neural Engine"] + Self.devices.map { "\($0.rawValue) ops" }]
    for name in order {
      guard let report = plans[name]?.report else { continue }
      let counts = Self.devices.map { "\(report.devices[$0.rawValue]?.operations ?? 0)" }
      rows.append([name, percentText(report.share(of: .neuralEngine))] + counts)
    }
    lines += tableLines(rows, right: 1..<5)
    for name in order {
      guard let elsewhere = plans[name]?.report.elsewhere, !elsewhere.isEmpty else { continue }
      lines += ["", "\(name): on another device than most"]
      lines += elsewhere.prefix(Self.shownOperations).map { "  \($0.device.rawValue): \($0.name) (\($0.output))" }
      let more = elsewhere.count - Self.shownOperations
      if more > 0 { lines.append("  and \(more) more: --json lists them") }
    }
    return lines.joined(separator: "\n")
  }

  /// Throws `TooLittle` where a package is planned with a smaller share on the Neural Engine.
  /// - Parameter share: between 0 and 1.
  func require(_ share: Double) throws {
    let below = order.compactMap { name in plans[name].map { (name, $0.report.share(of: .neuralEngine)) } }
      .filter { $0.1 < share - Self.rounding }
    if !below.isEmpty { throw TooLittle(required: share, found: below) }
  }

  /// Packages that would run elsewhere, with their shares.
  struct TooLittle: Error, CustomStringConvertible {
    let required: Double
    let found: [(name: String, share: Double)]

    var description: String {
      let rows = found.map { "\($0.name) \(percentText($0.share))" }.joined(separator: ", ")
      let cause =
        CoreMLPlatform.isApples
        ? "the report lists the operations elsewhere"
        : "the portable Core ML has no Neural Engine: ask on a Mac, or Python's command, which forecasts"
      return "less than the required \(percentText(required)) is on the Neural Engine: \(rows); \(cause)"
    }
  }
}

/// A share as a percentage that is 100 only where nothing is left out.
func percentText(_ share: Double) -> String {
  share == 1 ? "100 %" : "\(decimals(min(100 * share, 99.9999), 4)) %"
}
