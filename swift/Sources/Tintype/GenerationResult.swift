/// A picture and where it comes from.
public struct GenerationResult: Sendable {
  public let image: RGBImage
  /// The noise that the run began with, float32 [1, C, h, w].
  public let initialLatents: Tensor
  /// Final latents, float32 [1, C, h, w], in model space.
  public let latents: Tensor
  /// The decoder's output before clamping and rounding, float32 [1, 3, H, W], in −1…1.
  public let decoded: Tensor
  /// What was asked, with the seed that was used and the backend that ran each stage.
  public let settings: GenerationSettings
  public let stages: [Stage: StageRun]
  public let timings: Timings
  /// What the caller should know: prompts that were cut, backends that were left.
  public let warnings: [String]
}

/// Everything that is needed to make a picture again; PNG files hold it as JSON under `pngKeyword`, as Python's do.
public struct GenerationSettings: Codable, Sendable, Equatable {
  public let prompt: String
  public let negativePrompt: String
  public let steps: Int
  public let guidanceScale: Double
  /// Nil: the caller gave the noise.
  public let seed: Int?
  /// What drew the noise; nil as `seed`.
  public let generator: NoiseGenerator?
  public let width: Int
  public let height: Int
  /// Whether T5 was run.
  public let useT5: Bool
  /// The bundle's name.
  public let model: String
  public let precision: String
  /// Stage to the backend that ran it.
  public var backends: [String: String] = [:]

  public static let pngKeyword = "parameters"

  enum CodingKeys: String, CodingKey {
    case prompt, steps, seed, generator, width, height, model, precision, backends
    case negativePrompt = "negative_prompt"
    case guidanceScale = "guidance_scale"
    case useT5 = "use_t5"
  }

  /// Writes a missing seed as null, as Python does.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(prompt, forKey: .prompt)
    try values.encode(negativePrompt, forKey: .negativePrompt)
    try values.encode(steps, forKey: .steps)
    try values.encode(guidanceScale, forKey: .guidanceScale)
    try values.encode(seed, forKey: .seed)
    try values.encodeIfPresent(generator, forKey: .generator)
    try values.encode(width, forKey: .width)
    try values.encode(height, forKey: .height)
    try values.encode(useT5, forKey: .useT5)
    try values.encode(model, forKey: .model)
    try values.encode(precision, forKey: .precision)
    try values.encode(backends, forKey: .backends)
  }
}

/// Which backend ran a stage, and why that one. A stage whose components ended on two backends names both.
public struct StageRun: Codable, Sendable, Equatable {
  public let backend: String
  public let reason: String
}

/// Seconds: loading models, encoding text, modulation of all steps, the steps, decoding; and their sum.
public struct Timings: Codable, Sendable, Equatable {
  public var load = 0.0
  public var textEncoder = 0.0
  public var modulation = 0.0
  public var denoiser = 0.0
  public var vae = 0.0
  public var total: Double { load + textEncoder + modulation + denoiser + vae }

  enum CodingKeys: String, CodingKey {
    case load, modulation, denoiser, vae
    case textEncoder = "text_encoder"
  }
}

/// What a run tells while it goes on.
public enum GenerationEvent: Sendable {
  /// The text is encoded, the loop is about to start.
  case conditioned(Conditioned)
  /// A step is done.
  case step(Step)
  /// The last event.
  case done(GenerationResult)

  /// `initialLatents` is the noise, float32 [1, C, h, w]; `negative` is nil without guidance.
  public struct Conditioned: Sendable {
    public let settings: GenerationSettings
    public let schedule: FlowMatchSchedule
    public let initialLatents: Tensor
    public let positive: TextConditioning
    public let negative: TextConditioning?
  }

  /// Step `number` (from 1) of `steps`; `latents`, float32 [1, C, h, w], are those after it.
  public struct Step: Sendable {
    public let number: Int
    public let steps: Int
    public let sigma: Float
    public let timestep: Float
    public let latents: Tensor
    public let seconds: Double
  }
}
