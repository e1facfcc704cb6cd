/// Everything that is needed to make a picture again; PNG files hold it as JSON under `pngKeyword`, as Python's do.
public struct GenerationSettings: Codable, Sendable, Equatable {
  /// What the picture shows.
  public let prompt: String
  /// What it does not; empty without one.
  public let negativePrompt: String
  /// Euler steps of the schedule; with a source, some of them are left out.
  public let steps: Int
  /// How strongly the prompt was followed; 1 or less: without guidance.
  public let guidanceScale: Double
  /// Nil: the caller gave the noise.
  public let seed: UInt32?
  /// What drew the noise; nil as `seed`.
  public let generator: NoiseGenerator?
  /// Pixels across.
  public let width: Int
  /// Pixels down.
  public let height: Int
  /// Whether T5 was run.
  public let useT5: Bool
  /// The bundle's name.
  public let model: String
  /// The bundle's: "float16" or "float32".
  public let precision: String
  /// How far the picture may leave the one that it began with; nil: it began with noise alone.
  public let strength: Double?
  /// The picture's place among those of its run, from 0: how often noise was drawn from the seed before.
  public var imageIndex: Int
  /// What ran each stage.
  public var backends: [PipelineStage: [BackendKind]]

  /// Settings as a run reports them, for previews of views and stand-ins of tests.
  public init(
    prompt: String, negativePrompt: String = "", steps: Int, guidanceScale: Double, seed: UInt32?,
    generator: NoiseGenerator? = .numpy, width: Int, height: Int, useT5: Bool = true, model: String,
    precision: String = "float16", strength: Double? = nil, imageIndex: Int = 0,
    backends: [PipelineStage: [BackendKind]] = [:]
  ) {
    self.prompt = prompt
    self.negativePrompt = negativePrompt
    self.steps = steps
    self.guidanceScale = guidanceScale
    self.seed = seed
    self.generator = generator
    self.width = width
    self.height = height
    self.useT5 = useT5
    self.model = model
    self.precision = precision
    self.strength = strength
    self.imageIndex = imageIndex
    self.backends = backends
  }

  /// The keyword of the text in PNG files that holds these settings as JSON.
  public static let pngKeyword = "parameters"

  enum CodingKeys: String, CodingKey {
    case prompt, steps, seed, generator, width, height, model, precision, backends
    case strength
    case imageIndex = "image_index"
    case negativePrompt = "negative_prompt"
    case guidanceScale = "guidance_scale"
    case useT5 = "use_t5"
  }

  /// Writes a missing seed as null, as Python does, and what the run did not use not at all.
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
    try values.encodeIfPresent(strength, forKey: .strength)
    if imageIndex > 0 { try values.encode(imageIndex, forKey: .imageIndex) }
    let names = backends.map { ($0.rawValue, $1.joinedName) }
    try values.encode(Dictionary(uniqueKeysWithValues: names), forKey: .backends)
  }
}

extension GenerationSettings {
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    prompt = try values.decode(String.self, forKey: .prompt)
    negativePrompt = try values.decode(String.self, forKey: .negativePrompt)
    steps = try values.decode(Int.self, forKey: .steps)
    guidanceScale = try values.decode(Double.self, forKey: .guidanceScale)
    seed = try values.decodeIfPresent(UInt32.self, forKey: .seed)
    generator = try values.decodeIfPresent(NoiseGenerator.self, forKey: .generator)
    width = try values.decode(Int.self, forKey: .width)
    height = try values.decode(Int.self, forKey: .height)
    useT5 = try values.decode(Bool.self, forKey: .useT5)
    model = try values.decode(String.self, forKey: .model)
    precision = try values.decode(String.self, forKey: .precision)
    strength = try values.decodeIfPresent(Double.self, forKey: .strength)
    imageIndex = try values.decodeIfPresent(Int.self, forKey: .imageIndex) ?? 0
    // Stages that this release does not know are left out.
    let names = try values.decodeIfPresent([String: String].self, forKey: .backends) ?? [:]
    backends = names.reduce(into: [:]) { backends, row in
      if let stage = PipelineStage(rawValue: row.key) { backends[stage] = [BackendKind](joinedName: row.value) }
    }
  }
}
