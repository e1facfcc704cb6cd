/// Which device each operation of a model would run on. Behind the portable Core ML, that is the CPU for all of them.
public final class MLComputePlan: Sendable {
  /// What the model is made of.
  public let modelStructure: MLModelStructure

  private init(_ structure: MLModelStructure) { modelStructure = structure }

  /// The devices for one operation.
  public struct DeviceUsage: Sendable {
    /// The devices that can run it.
    public let supported: [MLComputeDevice]
    /// The device that would.
    public let preferred: MLComputeDevice
  }

  /// An operation's share of the model's work.
  public struct Cost: Sendable {
    /// Between 0 and 1.
    public let weight: Double
  }

  /// Makes the plan of a compiled model.
  public static func load(
    contentsOf url: URL, configuration: MLModelConfiguration
  ) async throws -> sending MLComputePlan {
    MLComputePlan(try await MLModelStructure.load(contentsOf: url))
  }

  /// Makes the plan of an asset.
  public static func load(
    asset: MLModelAsset, configuration: MLModelConfiguration
  ) async throws -> sending MLComputePlan {
    MLComputePlan(try await MLModelStructure.load(asset: asset))
  }

  /// nil for constants, which do not run.
  public func deviceUsage(for operation: MLModelStructure.Program.Operation) -> DeviceUsage? {
    if operation.operatorName == "const" { return nil }
    return DeviceUsage(supported: MLComputeDevice.allComputeDevices, preferred: .cpu(.shared))
  }

  /// nil: there are no layers here, whose networks are not run.
  public func deviceUsage(for layer: MLModelStructure.NeuralNetwork.Layer) -> DeviceUsage? { nil }

  /// nil: this implementation has no estimate, and a guess would look like a measurement.
  public func estimatedCost(of operation: MLModelStructure.Program.Operation) -> Cost? { nil }
}
