import Foundation
import Tintype

/// `tintype inspect --compute-plan`: where Core ML means to run each operation.
struct ComputePlans: Encodable {
  private let implementation = CoreMLPlatform.implementation
  private let forecast = false
  private let units: String
  private let packages: [String: ComputePlanReport]
  private let order: [String]

  private enum CodingKeys: String, CodingKey {
    case implementation, forecast, units, packages
  }

  private static let shownOperations = 12

  init(_ packages: [URL], units: ComputeUnits) async throws {
    self.units = units.rawValue
    var reports: [String: ComputePlanReport] = [:]
    var order: [String] = []
    for package in packages {
      try Task.checkCancellation()
      let name = package.deletingPathExtension().lastPathComponent
      reports[name] = try await CoreMLBackend().computePlan(of: package, units: units)
      order.append(name)
    }
    (self.packages, self.order) = (reports, order)
  }

  var text: String {
    var lines = [
      CoreMLPlatform.isApples
        ? "Core ML's compute plan for units \(units): what it prefers, before anything runs."
        : "This Core ML is the portable one, not Apple's: every operation runs on the CPU, without cost estimates. "
          + "On a Mac, this shows what Core ML puts on the Neural Engine; here, Python's "
          + "`tintype inspect --neural-engine` forecasts it.", "",
    ]
    var rows = [["package", "device", "operations", "cost"]]
    for name in order {
      for (device, share) in (packages[name]?.devices ?? [:]).sorted(by: { $0.key < $1.key }) {
        rows.append([name, device, "\(share.operations)", share.cost.map { "\(decimals(100 * $0, 1)) %" } ?? "-"])
      }
    }
    lines += tableLines(rows, right: 2..<4)
    for name in order {
      guard let elsewhere = packages[name]?.elsewhere, !elsewhere.isEmpty else { continue }
      lines += ["", "\(name): on another device than most"]
      lines += elsewhere.prefix(Self.shownOperations).map { "  \($0.device.rawValue): \($0.name) (\($0.output))" }
      let more = elsewhere.count - Self.shownOperations
      if more > 0 { lines.append("  and \(more) more: --json lists them") }
    }
    return lines.joined(separator: "\n")
  }
}
