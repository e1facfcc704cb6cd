/// The processing units that a model may use. The portable implementation runs every model on the CPU.
public enum MLComputeUnits: Int, Sendable {
  case cpuOnly = 0
  case cpuAndGPU = 1
  case all = 2
  case cpuAndNeuralEngine = 3
}

/// The settings for making a model.
open class MLModelConfiguration {
  /// Accepted as on Apple's systems; there is only the CPU here.
  open var computeUnits: MLComputeUnits = .all

  /// The function of a package with several; nil: its default function.
  open var functionName: String?

  /// A name for tools and logs.
  open var modelDisplayName: String?

  open var allowLowPrecisionAccumulationOnGPU = false

  /// Accepted as on Apple's systems; the engine needs no hints.
  open var optimizationHints = MLOptimizationHints()

  public init() {}

  /// The settings as plain values.
  struct Settings: Sendable {
    let computeUnits: MLComputeUnits
    let functionName: String?
    let modelDisplayName: String?
    let allowLowPrecisionAccumulationOnGPU: Bool
    let reshapeFrequency: MLOptimizationHints.ReshapeFrequency
    let specializationStrategy: MLOptimizationHints.SpecializationStrategy
  }

  /// What a model keeps: later changes of this object do not reach it.
  var settings: Settings {
    Settings(
      computeUnits: computeUnits, functionName: functionName, modelDisplayName: modelDisplayName,
      allowLowPrecisionAccumulationOnGPU: allowLowPrecisionAccumulationOnGPU,
      reshapeFrequency: optimizationHints.reshapeFrequency,
      specializationStrategy: optimizationHints.specializationStrategy)
  }

  init(_ settings: Settings) {
    computeUnits = settings.computeUnits
    functionName = settings.functionName
    modelDisplayName = settings.modelDisplayName
    allowLowPrecisionAccumulationOnGPU = settings.allowLowPrecisionAccumulationOnGPU
    optimizationHints.reshapeFrequency = settings.reshapeFrequency
    optimizationHints.specializationStrategy = settings.specializationStrategy
  }
}
