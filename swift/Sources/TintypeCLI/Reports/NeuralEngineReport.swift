import Foundation
import Tintype

/// `tintype inspect --neural-engine`: the forecast by rules, and on a Mac also what Core ML plans. As JSON it has the keys
/// of Python's command.
struct NeuralEngineReport: Encodable {
  private let forecast = true
  private let path: String
  private let packages: [String: NeuralEngineForecast]
  /// Nil where Core ML is not Apple's.
  private let plans: [String: ComputePlanDocument]?
  /// Nil: no share is required.
  let requirement: Requirement?
  private let units: ComputeUnits
  private let order: [String]

  private enum CodingKeys: String, CodingKey {
    case forecast, path, packages
    case requirement = "required"
    case plans = "compute_plans"
  }

  /// A package and what the report calls it.
  typealias Row = (name: String, package: URL)

  /// Kinds of operations that the text shows a package.
  private static let shown = 12
  private static let devices: [ComputePlanReport.Device] = [.neuralEngine, .gpu, .cpu]

  /// - Parameter required: the share that every package must have there, between 0 and 1.
  init(_ rows: [Row], path: String, units: ComputeUnits, required: Double?) async throws {
    (self.path, self.units, order) = (path, units, rows.map(\.name))
    var packages: [String: NeuralEngineForecast] = [:]
    var plans: [String: ComputePlanDocument] = [:]
    for row in rows {
      try Task.checkCancellation()
      packages[row.name] = try NeuralEngineForecast(package: row.package)
      guard CoreMLPlatform.isApples else { continue }
      let report = try await CoreMLBackend().computePlan(of: row.package, units: units)
      plans[row.name] = ComputePlanDocument(report: report, units: units)
    }
    self.packages = packages
    self.plans = plans.isEmpty ? nil : plans
    let shares = plans.isEmpty ? packages.mapValues(\.share) : plans.mapValues { $0.report.share(of: .neuralEngine) }
    requirement = required.map {
      Requirement(share: $0, of: plans.isEmpty ? .forecast : .computePlan, shares: shares, order: rows.map(\.name))
    }
  }

  var text: String {
    let forecasts = order.compactMap { name in packages[name].map { (name: name, forecast: $0) } }
    var lines = ["Forecast by published rules (docs/neural_engine.md), not measured on a device.", ""]
    var rows = [["package", "clean FLOPs", "FLOPs", "weights", "values", "padding", "segments"]]
    rows += forecasts.map { name, forecast in
      [name, percentText(forecast.share), countText(forecast.flops)]
        + [forecast.weightBytes, forecast.valueBytes, forecast.paddingBytes].map(bytesText)
        + ["\(forecast.segments)"]
    }
    lines += tableLines(rows, right: 1..<7)
    for (name, forecast) in forecasts { lines += misses(name, forecast) }
    lines += ["", "Roofline, ms a prediction at published rates:"]
    let chips = NeuralEngineChip.all.map(\.name)
    let times = forecasts.map { name, forecast in
      [name] + chips.map { decimals(1000 * (forecast.roofline[$0]?.seconds ?? 0), 2) }
    }
    lines += tableLines([["package"] + chips] + times, right: 1..<chips.count + 1)
    return (lines + planLines()).joined(separator: "\n")
  }

  private func misses(_ name: String, _ forecast: NeuralEngineForecast) -> [String] {
    var lines = forecast.notes.flatMap { ["", "\(name): \($0)"] }
    if forecast.misses.isEmpty { return lines }
    lines += ["", "\(name): off the Neural Engine"]
    lines += forecast.misses.prefix(Self.shown).map { miss in
      let share = forecast.flops > 0 ? Double(miss.flops) / Double(forecast.flops) : 0
      let percent = decimals(100 * share, 4)
      let space = String(repeating: " ", count: max(0, 8 - percent.count))
      return "  \(space)\(percent) %  \(miss.count) × \(miss.op) (\(miss.rule)): \(miss.reason); at \(miss.place)"
    }
    let more = forecast.misses.count - Self.shown
    return more > 0 ? lines + ["  and \(more) more kinds: --json lists them"] : lines
  }

  /// What Core ML plans on this system: no forecast.
  private func planLines() -> [String] {
    guard let plans else { return [] }
    let reports = order.compactMap { name in plans[name].map { (name: name, report: $0.report) } }
    var rows = [["package", "on the Neural Engine"] + Self.devices.map { "\($0.rawValue) ops" }]
    rows += reports.map { name, report in
      [name, percentText(report.share(of: .neuralEngine))]
        + Self.devices.map { "\(report.devices[$0.rawValue]?.operations ?? 0)" }
    }
    var lines = ["", "Core ML's compute plan for units \(units.rawValue):"] + tableLines(rows, right: 1..<5)
    for (name, report) in reports {
      let elsewhere = report.elsewhere
      lines += elsewhere.prefix(Self.shown).map { "  \(name): \($0.name) (\($0.output)) on \($0.device.rawValue)" }
      let more = elsewhere.count - Self.shown
      if more > 0 { lines.append("  \(name): and \(more) more: --json lists them") }
    }
    return lines
  }
}
