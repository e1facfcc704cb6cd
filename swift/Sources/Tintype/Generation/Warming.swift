/// What `TextToImagePipeline.prewarm` is about to load: component `index` (from 0) of `count`.
public struct WarmingProgress: Sendable, Equatable {
  public let component: Component
  public let index: Int
  public let count: Int
}

/// A component that `TextToImagePipeline.prewarm` has loaded.
public struct WarmedComponent: Sendable, Equatable {
  public let component: Component
  /// The backend that took it, and why that one.
  public let run: StageRun
  /// Compiling, loading and the self-test.
  public let seconds: Double
  /// That `auto` moved on, and why.
  public let warnings: [String]
}
