/// The processing units that a model may use. The portable implementation runs every model on the CPU.
public enum MLComputeUnits: Int, Sendable {
  /// The CPU alone.
  case cpuOnly = 0
  /// The CPU and the GPU.
  case cpuAndGPU = 1
  /// All that there are.
  case all = 2
  /// The CPU and the Neural Engine.
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

  /// Accepted as on Apple's systems; there is no GPU here.
  open var allowLowPrecisionAccumulationOnGPU = false

  /// Accepted as on Apple's systems; the engine needs no hints.
  open var optimizationHints = MLOptimizationHints()

  /// The default settings.
  public init() {}

  /// Another object with the same settings.
  open func copy() -> Any { MLModelConfiguration(settings) }

  /// The settings as plain values.
  struct Settings: Sendable {
    let computeUnits: MLComputeUnits
    let functionName: String?
    let modelDisplayName: String?
    let allowLowPrecisionAccumulationOnGPU: Bool
    let optimizationHints: MLOptimizationHints
  }

  /// What a model keeps: later changes of this object do not reach it.
  var settings: Settings {
    Settings(
      computeUnits: computeUnits, functionName: functionName, modelDisplayName: modelDisplayName,
      allowLowPrecisionAccumulationOnGPU: allowLowPrecisionAccumulationOnGPU,
      optimizationHints: optimizationHints)
  }

  init(_ settings: Settings) {
    computeUnits = settings.computeUnits
    functionName = settings.functionName
    modelDisplayName = settings.modelDisplayName
    allowLowPrecisionAccumulationOnGPU = settings.allowLowPrecisionAccumulationOnGPU
    optimizationHints = settings.optimizationHints
  }
}
