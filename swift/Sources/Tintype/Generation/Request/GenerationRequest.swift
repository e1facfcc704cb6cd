/// What one run wants. Nil takes the bundle's default.
public struct GenerationRequest: Sendable {
  /// May be empty.
  public var prompt: String
  /// What the picture should not show; without influence at guidance 1 or less.
  public var negativePrompt: String
  /// Euler steps, 1 … the schedule's training timesteps.
  public var steps: Int?
  /// How strongly the prompt is followed, at least 0; 1 or less leaves the negative prompt out.
  public var guidanceScale: Double?
  /// Nil draws one, which the result's settings report.
  public var seed: UInt32?
  /// What draws the noise from the seed.
  public var generator: NoiseGenerator
  /// One of the sizes that the bundle was converted for (`BundleDescriptor.availableSizes`); nil: its own.
  public var size: ImageSize?
  /// A picture to begin with, and which part of it to draw anew; nil: noise alone.
  public var source: ImageSource?
  /// Every how many steps an event brings a preview of twice the latent's width and height; nil: never. Where the bundle
  /// holds no map for them, the first run that wants one runs the VAE a few times more.
  public var previewInterval: Int?
  /// Initial noise, float [1, C, h, w], instead of a seed.
  public var initialLatents: Tensor?
  /// Which engine runs each stage; nil: what the pipeline's configuration says.
  public var backend: PerStage<BackendChoice>?
  /// What Core ML may use in each stage; nil: what the pipeline's configuration says.
  public var units: PerStage<ComputeUnits>?
  /// False runs as if the bundle had no T5.
  public var useT5: Bool
  /// Whether the result tells what the predictions cost, op by op; the run takes longer.
  public var collectsStatistics: Bool

  /// A request for a prompt; what is left out is the bundle's default.
  public init(
    _ prompt: String, negativePrompt: String = "", steps: Int? = nil, guidanceScale: Double? = nil, seed: UInt32? = nil,
    generator: NoiseGenerator = .numpy, size: ImageSize? = nil, source: ImageSource? = nil, previewInterval: Int? = nil,
    initialLatents: Tensor? = nil,
    backend: PerStage<BackendChoice>? = nil, units: PerStage<ComputeUnits>? = nil, useT5: Bool = true,
    collectsStatistics: Bool = false
  ) {
    self.prompt = prompt
    self.negativePrompt = negativePrompt
    self.steps = steps
    self.guidanceScale = guidanceScale
    self.seed = seed
    self.generator = generator
    self.size = size
    self.source = source
    self.previewInterval = previewInterval
    self.initialLatents = initialLatents
    self.backend = backend
    self.units = units
    self.useT5 = useT5
    self.collectsStatistics = collectsStatistics
  }
}

/// One value for all stages of a run, with exceptions: `.all(.auto)`, `.all(.mlx).with(.vae, .coreml)`.
public struct PerStage<Value: Sendable & Equatable>: Sendable, Equatable {
  private let common: Value
  private var exceptions: [PipelineStage: Value] = [:]

  /// One value for every stage.
  public static func all(_ value: Value) -> PerStage { PerStage(common: value) }

  /// The same with an exception.
  public func with(_ stage: PipelineStage, _ value: Value) -> PerStage {
    var copy = self
    copy.exceptions[stage] = value
    return copy
  }

  /// The value of a stage.
  public subscript(stage: PipelineStage) -> Value { exceptions[stage] ?? common }

  private init(common: Value) { self.common = common }
}
