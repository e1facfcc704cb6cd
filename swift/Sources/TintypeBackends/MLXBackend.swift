import TintypeMLX

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Runs packages on the C++ engine (MLX).
public struct MLXBackend: Backend {
  public let kind = BackendKind.mlx
  private let enginePath: String?

  /// - Parameter engineLibrary: the engine's file; nil: where `EngineSearch` finds it.
  public init(engineLibrary: URL? = nil) {
    enginePath = engineLibrary?.path
  }

  public func checkAvailability() throws {
    try asBackendErrors { try EngineLibrary.open(at: enginePath).checkAvailability() }
  }

  public func load(_ package: URL, units: ComputeUnits) throws -> any LoadedModel {
    try asBackendErrors {
      try MLXModel(EngineModel(path: package.path, library: EngineLibrary.open(at: enginePath)))
    }
  }
}

/// A package that the engine has opened.
struct MLXModel: LoadedModel {
  let backend = BackendKind.mlx
  private let model: EngineModel

  init(_ model: EngineModel) { self.model = model }

  var description: ModelDescription { model.description }
  var metadataJSON: String? { model.metadataJSON }

  func predict(_ inputs: [String: Tensor], function: String?) throws -> [String: Tensor] {
    let views = inputs.map { (name: $0.key, view: $0.value.view) }
    let outputs = try withExtendedLifetime(inputs) {
      try asBackendErrors { try model.predict(views, function: function) }
    }
    return outputs.reduce(into: [:]) { $0[$1.0] = $1.1 }
  }
}

/// Runs `body` and gives the engine's errors the backend's form, text and kind unchanged.
private func asBackendErrors<Result>(_ body: () throws -> Result) throws -> Result {
  do {
    return try body()
  } catch let error as EngineError {
    switch error {
    case .failure(let status, let message):
      throw BackendError.failed(backend: .mlx, kind: .init(status), message: message)
    default:
      throw BackendError.unavailable(backend: .mlx, reason: error.reason, remedy: error.remedy)
    }
  }
}
