/// What `TextToImagePipeline.prewarm` is about to load: component `index` (from 0) of `count`.
public struct WarmingProgress: Sendable, Equatable {
  /// What is about to be loaded.
  public let component: Component
  /// Its place among those that are loaded, from 0.
  public let index: Int
  /// How many are loaded in all.
  public let count: Int

  /// Component `index` (from 0) of `count`.
  public init(component: Component, index: Int, count: Int) {
    self.component = component
    self.index = index
    self.count = count
  }
}

/// A component that `TextToImagePipeline.prewarm` has loaded.
public struct WarmedComponent: Sendable, Equatable {
  /// What was loaded.
  public let component: Component
  /// The backend that took it, and why that one.
  public let run: StageRun
  /// Compiling, loading and the self-test.
  public let seconds: Double
  /// That `auto` moved on, and why.
  public let warnings: [String]

  /// A component, what took it and how long that was.
  public init(component: Component, run: StageRun, seconds: Double, warnings: [String] = []) {
    self.component = component
    self.run = run
    self.seconds = seconds
    self.warnings = warnings
  }
}
