/// Hints how a model will be used. Accepted as on Apple's systems; the engine needs none of them.
open class MLOptimizationHints {
  /// How often input shapes change. Raw values are Apple's.
  public enum ReshapeFrequency: Int, Sendable {
    case frequent = 0
    case infrequent = 1
  }

  /// What loading may cost. Raw values are Apple's.
  public enum SpecializationStrategy: Int, Sendable {
    case `default` = 0
    case fastPrediction = 1
  }

  open var reshapeFrequency: ReshapeFrequency = .frequent
  open var specializationStrategy: SpecializationStrategy = .default

  public init() {}
}
