/// What `TextToImagePipeline.prewarm` is about to load: component `index` (from 0) of `count`.
public struct WarmingProgress: Sendable, Equatable {
  /// What is about to be loaded.
  public let component: PipelineComponent
  /// Its place among those that are loaded, from 0.
  public let index: Int
  /// How many are loaded in all.
  public let count: Int
  /// Whether Core ML has begun to compile it, which takes minutes for a large one.
  public let isCompiling: Bool

  /// Component `index` (from 0) of `count`.
  public init(component: PipelineComponent, index: Int, count: Int, isCompiling: Bool = false) {
    self.component = component
    self.index = index
    self.count = count
    self.isCompiling = isCompiling
  }

  var compiling: WarmingProgress {
    WarmingProgress(component: component, index: index, count: count, isCompiling: true)
  }
}

/// A component that `TextToImagePipeline.prewarm` has loaded.
public struct WarmedComponent: Sendable, Equatable {
  /// What was loaded.
  public let component: PipelineComponent
  /// The backend that took it, and why that one.
  public let run: StageRun
  /// Compiling, loading and the self-test.
  public let duration: Duration
  /// Whether Core ML compiled it, false where it had before; nil where Core ML does not run it.
  public let wasCompiled: Bool?
  /// That `auto` moved on, and why.
  public let warnings: [String]

  /// A component, what took it and how long that was.
  public init(
    component: PipelineComponent, run: StageRun, duration: Duration, wasCompiled: Bool? = nil, warnings: [String] = []
  ) {
    self.component = component
    self.run = run
    self.duration = duration
    self.wasCompiled = wasCompiled
    self.warnings = warnings
  }
}
