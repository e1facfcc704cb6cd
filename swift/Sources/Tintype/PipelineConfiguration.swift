import Foundation

/// How a pipeline runs unless a request says otherwise.
public struct PipelineConfiguration: Sendable {
  public typealias BackendMaker = @Sendable (BackendChoice, @escaping @Sendable (String) -> Void) -> any Backend

  public var backend: PerStage<BackendChoice>
  public var units: PerStage<ComputeUnits>
  /// Makes the backend of a choice; the second argument is told when `auto` moves on, and why.
  public var makeBackend: BackendMaker

  /// - Parameters:
  ///   - engineLibrary: the MLX engine's file; nil: where `EngineSearch` finds it.
  ///   - cacheFolder: where Core ML's compiled models are kept; nil: the system's cache folder.
  public init(
    backend: PerStage<BackendChoice> = .all(.auto), units: PerStage<ComputeUnits> = .all(.all),
    engineLibrary: URL? = nil, cacheFolder: URL? = nil
  ) {
    self.init(backend: backend, units: units) { choice, notice in
      TintypeBackends.makeBackend(choice, engineLibrary: engineLibrary, cacheFolder: cacheFolder, notice: notice)
    }
  }

  /// With backends of the caller's own.
  public init(
    backend: PerStage<BackendChoice> = .all(.auto), units: PerStage<ComputeUnits> = .all(.all),
    makeBackend: @escaping BackendMaker
  ) {
    self.backend = backend
    self.units = units
    self.makeBackend = makeBackend
  }
}
