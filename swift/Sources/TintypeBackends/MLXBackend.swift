import TintypeMLX
import TintypePackages

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Runs packages on the C++ engine (MLX).
public struct MLXBackend: Backend {
  /// The C++ engine on MLX.
  public let kind = BackendKind.mlx
  private let enginePath: String?

  /// - Parameter engineLibrary: the engine's file; nil: where `EngineSearch` finds it.
  public init(engineLibrary: URL? = nil) {
    enginePath = engineLibrary?.path
  }

  /// Throws where the engine's library is missing or cannot run.
  public func checkAvailability() throws {
    try asBackendErrors { try EngineLibrary.open(at: enginePath).checkAvailability() }
  }

  /// Opens and checks a package; `units` are ignored.
  public func load(_ package: URL, units: ComputeUnits) throws -> any LoadedModel {
    let model = try asBackendErrors { try EngineModel(path: package.path, library: EngineLibrary.open(at: enginePath)) }
    return MLXModel(model, of: package)
  }
}

/// A package that the engine has opened.
struct MLXModel: LoadedModel {
  let backend = BackendKind.mlx
  let modelDescription: ModelDescription
  private let model: EngineModel

  init(_ model: EngineModel, of package: URL) {
    self.model = model
    modelDescription = model.modelDescription.completed(from: package)
  }

  var metadataJSON: String? { model.metadataJSON }

  func predict(_ inputs: [String: Tensor], function: String?) throws -> [String: Tensor] {
    try predict(inputs, options: PredictionOptions(function: function))
  }

  func predict(_ inputs: [String: Tensor], options: PredictionOptions) throws -> [String: Tensor] {
    var prediction = EnginePrediction(function: options.function, progress: options.progress)
    if let tell = options.onStatistics {
      prediction.statistics = { PredictionStatistics(json: $0).map(tell) }
    }
    if let state = options.state {
      guard let state = state as? MLXState else { throw BackendError.foreignState(.mlx) }
      prediction.state = state.state
    }
    return try asBackendErrors { try model.predict(inputs, prediction) }
  }

  func makeState(function: String?) throws -> any ModelState {
    guard let known = modelDescription.function(named: function), !known.states.isEmpty else {
      throw BackendError.noStates(.mlx)
    }
    return try asBackendErrors { MLXState(try EngineState(of: model, function: function)) }
  }
}

extension ModelDescription {
  /// The C ABI tells an array's default shape, or that it is flexible, without the limits; the package's files have them.
  fileprivate func completed(from package: URL) -> ModelDescription {
    guard let bytes = try? Data(contentsOf: PackageFiles(package: package).specificationURL()),
      let shapes = try? FlexibleShapes(parsing: [UInt8](bytes))
    else { return self }
    return completed(by: shapes)
  }
}

/// The engine's states.
private final class MLXState: ModelState {
  let state: EngineState

  init(_ state: EngineState) { self.state = state }

  func tensor(named name: String) throws -> Tensor {
    try asBackendErrors { try state.withView(of: name) { try Tensor(copying: $0) } }
  }

  func set(_ name: String, to tensor: Tensor) throws {
    try asBackendErrors {
      try state.withView(of: name) { view in
        try tensor.checkFits(state: name, shape: view.shape, elementType: view.elementType, backend: .mlx)
        tensor.view.copyElements(to: UnsafeMutableRawPointer(mutating: view.base), strides: view.strides)
      }
    }
  }
}

extension BackendError {
  static func foreignState(_ backend: BackendKind) -> BackendError {
    .failed(
      backend: backend, kind: .invalidArgument,
      message: "the state is another model's: make one with makeState of the model that runs")
  }
}

extension Tensor {
  /// Throws where a state takes another shape or type.
  func checkFits(state name: String, shape: [Int], elementType: ElementType, backend: BackendKind) throws {
    guard self.shape == shape, self.elementType == elementType else {
      throw BackendError.failed(
        backend: backend, kind: .invalidArgument,
        message: "state \"\(name)\" is \(elementType.rawValue) \(shape), got \(self.elementType.rawValue) \(self.shape)"
      )
    }
  }
}

private func asBackendErrors<Result>(_ body: () throws -> Result) throws -> Result {
  do {
    return try body()
  } catch let error as EngineError {
    switch error {
    case .failure(let status, let message):
      throw BackendError.failed(backend: .mlx, kind: status, message: message)
    default:
      throw BackendError.unavailable(backend: .mlx, reason: error.reason, remedy: error.remedy)
    }
  }
}
