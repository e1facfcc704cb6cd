import CoreML
import TintypeMLX
import TintypePackages

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Where Core ML means to run a model's operations: what its compute plan says, before anything runs.
public struct ComputePlanReport: Sendable, Codable, Equatable {
  /// A processing unit.
  public enum Device: String, Sendable, Codable {
    /// The CPU.
    case cpu
    /// The GPU.
    case gpu
    /// The Neural Engine.
    case neuralEngine = "neural_engine"
  }

  /// One device's part of the work.
  public struct Share: Sendable, Codable, Equatable {
    /// How many operations prefer the device.
    public var operations = 0
    /// Of the estimated cost, between 0 and 1; nil where Core ML gives no estimates.
    public var cost: Double?
  }

  /// An operation that prefers another device than most.
  public struct Operation: Sendable, Codable, Equatable {
    /// The operation's kind as Core ML names it: with its opset on Apple's systems, such as `ios16.conv`.
    public let name: String
    /// The name of its first output; converters put the layer's name there.
    public let output: String
    /// Where Core ML prefers to run it.
    public let device: Device
    /// Where it could run.
    public let supported: [Device]
  }

  /// The function that was planned.
  public let function: String
  /// By device (`Device.rawValue`); constants are not counted.
  public let devices: [String: Share]
  /// Operations off the device that takes most of them, in the program's order.
  public let elsewhere: [Operation]

  init(function: String, operations: [(operation: Operation, cost: Double?)]) {
    self.function = function
    var devices: [String: Share] = [:]
    for (operation, cost) in operations {
      var share = devices[operation.device.rawValue] ?? Share()
      share.operations += 1
      if let cost { share.cost = (share.cost ?? 0) + cost }
      devices[operation.device.rawValue] = share
    }
    self.devices = devices
    let main = devices.max { ($0.value.operations, $1.key) < ($1.value.operations, $0.key) }?.key
    elsewhere = operations.map(\.operation).filter { $0.device.rawValue != main }
  }

  /// A device's part, between 0 and 1: of the estimated cost where Core ML gives one, else of the operations.
  public func share(of device: Device) -> Double {
    let own = devices[device.rawValue]
    if devices.values.contains(where: { $0.cost != nil }) { return own?.cost ?? 0 }
    let total = devices.values.reduce(0) { $0 + $1.operations }
    return total > 0 ? Double(own?.operations ?? 0) / Double(total) : 0
  }
}

/// A report as JSON has it: with whose Core ML made it, and for which units.
package struct ComputePlanDocument: Encodable, Sendable {
  package let report: ComputePlanReport
  private let units: ComputeUnits

  package init(report: ComputePlanReport, units: ComputeUnits) {
    self.report = report
    self.units = units
  }

  private enum CodingKeys: String, CodingKey {
    case implementation, units
  }

  package func encode(to encoder: any Encoder) throws {
    try report.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(CoreMLPlatform.implementation, forKey: .implementation)
    try values.encode(units, forKey: .units)
  }
}

extension CoreMLBackend {
  /// Compiles the package if need be and asks Core ML for its plan. Needs macOS 14.4 or iOS 17.4.
  public func computePlan(
    of package: URL, units: ComputeUnits, function: String? = nil
  ) async throws -> ComputePlanReport {
    guard #available(macOS 14.4, iOS 17.4, tvOS 17.4, visionOS 1.1, *) else {
      throw BackendError.failed(
        backend: .coreml, kind: .unsupported,
        message: "compute plans need macOS 14.4 or iOS 17.4; on older systems, Instruments' Core ML template shows "
          + "where a model runs")
    }
    do {
      let compiled = try await Blocking.run { try compiledModel(of: package) }
      let known = (try? PackageFiles(package: package).specification())?.description.functions.map(\.name)
      // Core ML is told a name only where it is not the default one's: systems before macOS 15 know no others.
      let chosen = function == known?.first ? nil : function
      if let chosen, let known, !known.contains(chosen) {
        throw BackendError.unknownFunction(name: chosen, known: known.sorted())
      }
      let configuration = try MLModelConfiguration(units: units, function: chosen)
      let plan = try await MLComputePlan.load(contentsOf: compiled, configuration: configuration)
      guard case .program(let program) = plan.modelStructure else {
        throw BackendError.failed(
          backend: .coreml, kind: .unsupported, message: "\(package.lastPathComponent) is no ML Program")
      }
      let names = program.functions.keys.sorted()
      let name = function ?? known?.first ?? (names.contains("main") ? "main" : names.first ?? "")
      guard let main = program.functions[name] else {
        throw BackendError.unknownFunction(name: name, known: names)
      }
      let operations = main.block.allOperations.compactMap { operation -> (ComputePlanReport.Operation, Double?)? in
        guard let usage = plan.deviceUsage(for: operation) else { return nil }
        let row = ComputePlanReport.Operation(
          name: operation.operatorName, output: operation.outputs.first?.name ?? "", device: .init(usage.preferred),
          supported: usage.supported.map { .init($0) })
        return (row, plan.estimatedCost(of: operation)?.weight)
      }
      return ComputePlanReport(function: name, operations: operations)
    } catch {
      throw CoreMLPlatform.backendError(error, .runtime)
    }
  }
}

@available(macOS 14.4, iOS 17.4, tvOS 17.4, visionOS 1.1, *)
extension MLModelStructure.Program.Block {
  /// The block's operations, and those in the blocks of its conditions and loops.
  fileprivate var allOperations: [MLModelStructure.Program.Operation] {
    operations.flatMap { [$0] + $0.blocks.flatMap(\.allOperations) }
  }
}

@available(macOS 14, iOS 17, tvOS 17, *)
extension ComputePlanReport.Device {
  fileprivate init(_ device: MLComputeDevice) {
    // Not a switch: Apple may add devices.
    if case .neuralEngine = device {
      self = .neuralEngine
    } else if case .gpu = device {
      self = .gpu
    } else {
      self = .cpu
    }
  }
}
