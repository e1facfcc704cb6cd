import Foundation
import Tintype

/// `tintype inspect --neural-engine`: where Core ML means to run each operation. As JSON it has the keys of Python's
/// command, whose forecast by rules is not made here.
struct NeuralEngineReport: Encodable {
  private let forecast = false
  private let path: String
  private let plans: [String: Plan]
  /// Nil: no share is required.
  let requirement: Requirement?
  private let units: ComputeUnits
  private let order: [String]

  private enum CodingKeys: String, CodingKey {
    case forecast, path
    case requirement = "required"
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
  private static let devices: [ComputePlanReport.Device] = [.neuralEngine, .gpu, .cpu]

  /// - Parameter required: the share that every package must have there, between 0 and 1.
  init(_ rows: [Row], path: String, units: ComputeUnits, required: Double?) async throws {
    (self.path, self.units, order) = (path, units, rows.map(\.name))
    var plans: [String: Plan] = [:]
    for row in rows {
      try Task.checkCancellation()
      plans[row.name] = Plan(report: try await CoreMLBackend().computePlan(of: row.package, units: units), units: units)
    }
    self.plans = plans
    let shares = plans.mapValues { $0.report.share(of: .neuralEngine) }
    requirement = required.map { Requirement(share: $0, shares: shares, order: rows.map(\.name)) }
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

}

/// What every package is required to have on the Neural Engine, and what each has, between 0 and 1.
struct Requirement: Encodable {
  let share: Double
  let shares: [String: Double]
  /// The packages that have less, in order.
  let below: [String]

  private enum CodingKeys: String, CodingKey {
    case share, of, shares, below, passed
  }

  /// Costs that should add up to 1 may miss it by this.
  private static let rounding = 1e-6

  init(share: Double, shares: [String: Double], order: [String]) {
    (self.share, self.shares) = (share, shares)
    below = order.filter { shares[$0].map { $0 < share - Self.rounding } ?? false }
  }

  func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(share, forKey: .share)
    try values.encode("compute_plan", forKey: .of)
    try values.encode(shares, forKey: .shares)
    try values.encode(below, forKey: .below)
    try values.encode(below.isEmpty, forKey: .passed)
  }

  /// Throws `TooLittle` where a package has less.
  func check() throws {
    if !below.isEmpty { throw TooLittle(requirement: self) }
  }

  /// Packages that would run elsewhere.
  struct TooLittle: Error, CustomStringConvertible {
    let requirement: Requirement

    var description: String {
      let rows = requirement.below.map { "\($0) \(percentText(requirement.shares[$0] ?? 0))" }.joined(separator: ", ")
      let hint =
        CoreMLPlatform.isApples
        ? "" : "; the portable Core ML has no Neural Engine: ask on a Mac, or Python's command, which forecasts"
      return "on the Neural Engine (Core ML's compute plan): \(rows), expected at least "
        + "\(shortNumber(100 * requirement.share)) %\(hint)"
    }
  }
}

/// A share as a percentage that is 100 only where nothing is left out.
func percentText(_ share: Double) -> String {
  share == 1 ? "100 %" : "\(decimals(min(100 * share, 99.9999), 4)) %"
}
