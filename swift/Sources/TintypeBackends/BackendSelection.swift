import TintypeMLX

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The backend that a caller asks for.
///
/// A named one is strict: it runs or throws. `auto` is Core ML where Apple's exists and MLX otherwise, and moves on to
/// MLX when Core ML cannot load or run a model; `notice` is told so once a model, with the reason.
public func makeBackend(
  _ choice: BackendChoice, engineLibrary: URL? = nil, cacheFolder: URL? = nil,
  notice: @escaping @Sendable (String) -> Void = { _ in }
) -> any Backend {
  let mlx = MLXBackend(engineLibrary: engineLibrary)
  let coreml = CoreMLBackend(cacheFolder: cacheFolder)
  switch choice {
  case .coreml: return coreml
  case .mlx: return mlx
  case .auto: return CoreMLPlatform.isApples ? FallbackBackend(first: coreml, second: mlx, notice: notice) : mlx
  }
}

/// Tries one backend, then another. What the second would refuse as well (missing files, wrong inputs) is not retried.
struct FallbackBackend: Backend {
  let first: any Backend
  let second: any Backend
  let notice: @Sendable (String) -> Void

  var kind: BackendKind { first.kind }

  func checkAvailability() throws {
    do { try first.checkAvailability() } catch { try second.checkAvailability() }
  }

  func load(_ package: URL, units: ComputeUnits) throws -> any LoadedModel {
    do {
      try first.checkAvailability()
      return FallbackModel(backends: self, package: package, units: units, model: try first.load(package, units: units))
    } catch let error where FallbackBackend.mayHelp(after: error) {
      let model = try second.load(package, units: units)
      tell(package, error, verb: "load")
      return model
    }
  }

  func tell(_ package: URL, _ reason: any Error, verb: String) {
    notice(
      "\(first.kind.rawValue) could not \(verb) \(package.lastPathComponent) (\(reason)); "
        + "using \(second.kind.rawValue)")
  }

  static func mayHelp(after error: any Error) -> Bool {
    switch (error as? BackendError)?.kind {
    case .invalidArgument, .io, .cancelled: false
    case nil, .format, .unsupported, .runtime, .outOfMemory, .unavailable: true
    }
  }
}

/// A model that moves to the second backend at the first prediction that fails, and stays there.
private final class FallbackModel: LoadedModel {
  private let backends: FallbackBackend
  private let package: URL
  private let units: ComputeUnits
  private let current: Locked<any LoadedModel>

  init(backends: FallbackBackend, package: URL, units: ComputeUnits, model: any LoadedModel) {
    self.backends = backends
    self.package = package
    self.units = units
    current = Locked(model)
  }

  private var model: any LoadedModel { current.withLock { $0 } }
  var backend: BackendKind { model.backend }
  var description: ModelDescription { model.description }
  var metadataJSON: String? { model.metadataJSON }

  func predict(_ inputs: [String: Tensor], function: String?) throws -> [String: Tensor] {
    let model = self.model
    do {
      return try model.predict(inputs, function: function)
    } catch let error where model.backend == backends.first.kind && FallbackBackend.mayHelp(after: error) {
      let other = try replacement(after: error)
      return try other.predict(inputs, function: function)
    }
  }

  private func replacement(after reason: any Error) throws -> any LoadedModel {
    try current.withLock { model in
      // Another thread may have moved on already.
      if model.backend != backends.first.kind { return model }
      model = try backends.second.load(package, units: units)
      backends.tell(package, reason, verb: "run")
      return model
    }
  }
}
