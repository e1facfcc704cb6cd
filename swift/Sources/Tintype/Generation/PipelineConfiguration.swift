import Foundation

/// How a pipeline runs unless a request says otherwise.
public struct PipelineConfiguration: Sendable {
  /// Makes the backend for a choice; the second argument takes what it has to say.
  public typealias BackendMaker = @Sendable (BackendChoice, @escaping @Sendable (String) -> Void) -> any Backend

  /// Which engine runs each stage.
  public var backend: PerStage<BackendChoice>
  /// What Core ML may use in each stage.
  public var units: PerStage<ComputeUnits>
  /// Bytes of weights that may be loaded at once; nil: no limit. The least recently used models make room; one that is
  /// larger than the budget is loaded alone.
  public var memoryBudget: Int?
  /// Whether each stage's models are unloaded when it is done, the text encoders before the denoiser is loaded: less
  /// memory, but the next run loads them again.
  public var reduceMemory: Bool
  /// Makes the backend of a choice; the second argument is told when `auto` moves on, and why.
  public var makeBackend: BackendMaker

  /// - Parameters:
  ///   - engineLibrary: the MLX engine's file; nil: where `EngineSearch` finds it.
  ///   - cacheFolder: where Core ML's compiled models are kept; nil: the system's cache folder.
  ///   - timeBox: how long Core ML may compile and load a model before `auto` moves on to MLX, where that is available;
  ///     nil: as long as it takes.
  public init(
    backend: PerStage<BackendChoice> = .all(.auto), units: PerStage<ComputeUnits> = .all(.all),
    memoryBudget: Int? = nil, reduceMemory: Bool = false, engineLibrary: URL? = nil, cacheFolder: URL? = nil,
    timeBox: Duration? = .seconds(300)
  ) {
    self.init(backend: backend, units: units, memoryBudget: memoryBudget, reduceMemory: reduceMemory) {
      choice, notice in
      TintypeBackends.makeBackend(
        choice, engineLibrary: engineLibrary, cacheFolder: cacheFolder, timeBox: timeBox, notice: notice)
    }
  }

  /// With backends of the caller's own.
  public init(
    backend: PerStage<BackendChoice> = .all(.auto), units: PerStage<ComputeUnits> = .all(.all),
    memoryBudget: Int? = nil, reduceMemory: Bool = false, makeBackend: @escaping BackendMaker
  ) {
    self.backend = backend
    self.units = units
    self.memoryBudget = memoryBudget
    self.reduceMemory = reduceMemory
    self.makeBackend = makeBackend
  }
}
