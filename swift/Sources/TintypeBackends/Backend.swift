@_exported import TintypeMLX

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The two engines that run a package.
public enum BackendKind: String, Sendable, Codable, CaseIterable {
  case coreml, mlx
}

/// What a caller asks for: an engine by name (it runs or throws), or whichever suits this machine.
public enum BackendChoice: String, Sendable, Codable, CaseIterable {
  case auto, coreml, mlx
}

/// What Core ML may use. The MLX engine accepts and ignores it.
public enum ComputeUnits: String, Sendable, Codable, CaseIterable {
  case all, cpu, gpu, ane
}

/// An engine that opens packages.
public protocol Backend: Sendable {
  var kind: BackendKind { get }

  /// Throws `BackendError.unavailable` with the reason and the remedy when models cannot run here.
  func checkAvailability() throws

  /// Opens an `.mlpackage` and checks it.
  func load(_ package: URL, units: ComputeUnits) throws -> any LoadedModel

  /// The same for a model that must first reproduce a recorded prediction. A named backend throws where it does not;
  /// `auto` moves on to the other one, and asks once for each model, system, chip and compute units.
  func load(_ package: URL, units: ComputeUnits, passing selfTest: SelfTest) throws -> any LoadedModel
}

extension Backend {
  public func load(_ package: URL, units: ComputeUnits, passing selfTest: SelfTest) throws -> any LoadedModel {
    let model = try load(package, units: units)
    try selfTest.check(model)
    return model
  }
}

/// An opened package. Safe to use from several threads at once.
public protocol LoadedModel: Sendable {
  /// The engine that runs it.
  var backend: BackendKind { get }
  var description: ModelDescription { get }
  /// JSON about the package: specification version, ops, metadata. nil: the backend cannot know.
  var metadataJSON: String? { get }

  /// Runs one function (nil: the default one). Inputs are matched by name and must have the described shapes and
  /// element types; the result holds every output of the description.
  func predict(_ inputs: [String: Tensor], function: String?) throws -> [String: Tensor]
}

extension LoadedModel {
  public var metadataJSON: String? { nil }

  public func predict(_ inputs: [String: Tensor]) throws -> [String: Tensor] {
    try predict(inputs, function: nil)
  }
}
