import Foundation

/// How a pipeline runs unless a request says otherwise.
public struct PipelineConfiguration: Sendable {
  /// Makes the backend of a choice with the configuration's settings, which also take what the backend has to say.
  public typealias BackendMaker = @Sendable (BackendChoice, BackendSettings) -> any Backend

  /// Which engine runs each stage.
  public var backend: PerStage<BackendChoice>
  /// What Core ML may use in each stage.
  public var units: PerStage<ComputeUnits>
  /// Bytes of weights that may be loaded at once; nil: no limit. The least recently used models make room; one that is
  /// larger than the budget is loaded alone. On Core ML every size that is open counts by itself.
  public var memoryBudget: Int?
  /// Whether each stage's models are unloaded when it is done, the text encoders before the denoiser is loaded: less
  /// memory, but the next run loads them again.
  public var reduceMemory: Bool
  /// The MLX engine's file; nil: where `EngineSearch` finds it.
  public var engineLibrary: URL?
  /// Where Core ML's compiled models are kept; nil: the system's cache folder.
  public var cacheFolder: URL?
  /// How long Core ML may compile and load a model before `auto` moves on to MLX, where that is available; nil: as long
  /// as it takes.
  public var timeBox: Duration?
  /// Makes the backends, such as one around that of `BackendChoice.makeBackend`.
  public var makeBackend: BackendMaker

  /// What is left out is `auto` on all units, with the system's cache folder and without a limit of memory.
  public init(
    backend: PerStage<BackendChoice> = .all(.auto), units: PerStage<ComputeUnits> = .all(.all),
    memoryBudget: Int? = nil, reduceMemory: Bool = false, engineLibrary: URL? = nil, cacheFolder: URL? = nil,
    timeBox: Duration? = .seconds(300),
    makeBackend: @escaping BackendMaker = { $0.makeBackend(settings: $1) }
  ) {
    self.backend = backend
    self.units = units
    self.memoryBudget = memoryBudget
    self.reduceMemory = reduceMemory
    self.engineLibrary = engineLibrary
    self.cacheFolder = cacheFolder
    self.timeBox = timeBox
    self.makeBackend = makeBackend
  }

  /// The backend of a choice with these settings.
  func backend(
    _ choice: BackendChoice, notice: @escaping @Sendable (BackendNotice) -> Void
  ) -> any Backend {
    makeBackend(
      choice,
      BackendSettings(engineLibrary: engineLibrary, cacheFolder: cacheFolder, timeBox: timeBox, notice: notice))
  }
}
