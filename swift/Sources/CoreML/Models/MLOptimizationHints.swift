/// Hints how a model will be used. Accepted as on Apple's systems; the engine needs none of them.
public struct MLOptimizationHints: Equatable, Sendable {
  /// How often input shapes change. Raw values are Apple's.
  public enum ReshapeFrequency: Int, Sendable {
    /// With every prediction, perhaps.
    case frequent = 0
    /// Hardly ever.
    case infrequent = 1
  }

  /// What loading may cost. Raw values are Apple's.
  public enum SpecializationStrategy: Int, Sendable {
    /// What suits most apps.
    case `default` = 0
    /// Longer, for faster predictions.
    case fastPrediction = 1
  }

  /// How often input shapes change.
  public var reshapeFrequency: ReshapeFrequency = .frequent
  /// What loading may cost.
  public var specializationStrategy: SpecializationStrategy = .default

  /// The default hints.
  public init() {}
}
