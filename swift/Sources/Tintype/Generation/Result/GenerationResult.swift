/// A picture and where it comes from.
public struct GenerationResult: Sendable {
  /// The picture, of the size that was asked for.
  public let image: RGBImage
  /// The noise that the picture began with, float32 [1, C, h, w].
  public let initialLatents: Tensor
  /// Final latents, float32 [1, C, h, w], in model space.
  public let latents: Tensor
  /// The decoder's output before clamping and rounding, float32 [1, 3, H, W], in −1…1.
  public let decoded: Tensor
  /// What was asked, with the seed that was used and the backend that ran each stage.
  public let settings: GenerationSettings
  /// What ran each stage, and why that.
  public let stages: [PipelineStage: StageRun]
  /// How long each part of the run took.
  public let timings: GenerationTimings
  /// What the predictions of each stage cost, where the request asked; of several pictures, the text's and the
  /// modulation's are the first one's.
  public let statistics: [PipelineStage: StageStatistics]
  /// What the caller should know: prompts that were cut, backends that were left.
  public let warnings: [String]

  /// A result as a run gives it, for previews of views and stand-ins of tests.
  public init(
    image: RGBImage, initialLatents: Tensor, latents: Tensor, decoded: Tensor, settings: GenerationSettings,
    stages: [PipelineStage: StageRun] = [:], timings: GenerationTimings = GenerationTimings(),
    statistics: [PipelineStage: StageStatistics] = [:],
    warnings: [String] = []
  ) {
    self.image = image
    self.initialLatents = initialLatents
    self.latents = latents
    self.decoded = decoded
    self.settings = settings
    self.stages = stages
    self.timings = timings
    self.statistics = statistics
    self.warnings = warnings
  }
}

/// Which backend ran a stage, and why that one.
public struct StageRun: Sendable, Equatable {
  /// One, or both where the stage's components ended on different ones, in the order of their first use.
  public let backends: [BackendKind]
  /// Asked for, chosen, or why `auto` moved on.
  public let reason: String

  /// What ran a stage, and why that.
  public init(backends: [BackendKind], reason: String) {
    self.backends = backends
    self.reason = reason
  }
}

/// As JSON it has the keys of Python's: "backend" is "coreml", "mlx" or "coreml+mlx".
extension StageRun: Codable {
  private enum CodingKeys: String, CodingKey {
    case backend, reason
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(backends.joinedName, forKey: .backend)
    try values.encode(reason, forKey: .reason)
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    backends = [BackendKind](joinedName: try values.decode(String.self, forKey: .backend))
    reason = try values.decode(String.self, forKey: .reason)
  }
}

extension [BackendKind] {
  /// As JSON and the command line name several: "coreml+mlx".
  package var joinedName: String { map(\.rawValue).joined(separator: "+") }

  /// Names that this release does not know are left out.
  init(joinedName: String) {
    self = joinedName.split(separator: "+").compactMap { BackendKind(rawValue: String($0)) }
  }
}

/// How long loading models, encoding text, modulation of all steps, the steps and decoding took; and their sum. In JSON,
/// seconds.
public struct GenerationTimings: Sendable, Equatable {
  /// Compiling and loading models, self-tests included.
  public var load: Duration
  /// Tokenizers and text encoders.
  public var textEncoder: Duration
  /// The modulation of all steps.
  public var modulation: Duration
  /// All steps.
  public var denoiser: Duration
  /// Decoding, and encoding a picture to begin with.
  public var vae: Duration
  /// The sum of the five.
  public var total: Duration { load + textEncoder + modulation + denoiser + vae }

  /// By part of a run.
  public init(
    load: Duration = .zero, textEncoder: Duration = .zero, modulation: Duration = .zero, denoiser: Duration = .zero,
    vae: Duration = .zero
  ) {
    self.load = load
    self.textEncoder = textEncoder
    self.modulation = modulation
    self.denoiser = denoiser
    self.vae = vae
  }
}

extension GenerationTimings: Codable {
  private enum CodingKeys: String, CodingKey {
    case load, modulation, denoiser, vae
    case textEncoder = "text_encoder"
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    load = try values.decodeSeconds(forKey: .load)
    textEncoder = try values.decodeSeconds(forKey: .textEncoder)
    modulation = try values.decodeSeconds(forKey: .modulation)
    denoiser = try values.decodeSeconds(forKey: .denoiser)
    vae = try values.decodeSeconds(forKey: .vae)
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(secondsOf: load, forKey: .load)
    try values.encode(secondsOf: textEncoder, forKey: .textEncoder)
    try values.encode(secondsOf: modulation, forKey: .modulation)
    try values.encode(secondsOf: denoiser, forKey: .denoiser)
    try values.encode(secondsOf: vae, forKey: .vae)
  }
}
