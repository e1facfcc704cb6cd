/// Names that cross the package's borders; Python's are in python/tintype/names.py, docs/bundle_format.md explains
/// them.
public enum BundleNames {
  /// `bundle.json`'s `format`.
  public static let format = "tintype-bundle"
  /// `bundle.json`'s `format_version` that this release reads.
  public static let formatVersion = 1
  /// The description's file name.
  public static let file = "bundle.json"

  /// Token ids, int32 [1, tokens].
  public static let inputIDs = "input_ids"
  /// A text encoder's embeddings of every token, [1, tokens, width].
  public static let hiddenStates = "hidden_states"
  /// A CLIP encoder's embedding of the whole text, [1, width]; the modulation takes both side by side.
  public static let pooled = "pooled"
  /// The modulation's noise level, float32 [batch], 1000·σ.
  public static let timestep = "timestep"
  /// The modulation's distilled guidance (FLUX.1-dev), [batch].
  public static let guidance = "guidance"
  /// The modulation's output and the denoiser's input, [batch, rows, width].
  public static let modulation = "modulation"
  /// Latents in model space, [batch, channels, height, width].
  public static let latent = "latent"
  /// Embeddings that the denoiser attends to, [batch, tokens, width].
  public static let context = "context"
  /// The denoiser's output, of the latents' shape: noise less picture.
  public static let velocity = "velocity"
  /// Pixels in −1…1, [1, 3, height, width].
  public static let image = "image"
  /// The VAE encoder's output, [1, 2·channels, height, width]: means, then log-variances.
  public static let moments = "moments"

  /// CLIP-L's tokenizer.
  public static let tokenizer = "tokenizer"
  /// CLIP-G's tokenizer.
  public static let tokenizer2 = "tokenizer_2"
  /// T5's tokenizer.
  public static let tokenizer3 = "tokenizer_3"

  static let precisions = ["float16", "float32"]
  static let elementTypes = ["float16", "float32", "int32"]
  static let eulerSchedule = "flow_match_euler"
  static let linearSchedule = "flow_match_linear"
  static let dynamicSchedule = "flow_match_dynamic"
  static let schedules = [eulerSchedule, linearSchedule, dynamicSchedule]
  static let clipTokenizer = "clip_bpe"
  static let t5Tokenizer = "t5_unigram"
}

/// A component of a bundle, by the name it has in `bundle.json`; in the order in which a bundle lists them.
public enum Component: String, Sendable, Codable, CaseIterable, Hashable {
  /// CLIP-L.
  case textEncoder = "text_encoder"
  /// CLIP-G.
  case textEncoder2 = "text_encoder_2"
  /// T5.
  case textEncoder3 = "text_encoder_3"
  /// The part of the denoiser that depends on noise level and pooled text alone; it runs once a step and prompt.
  case modulation
  /// The transformer, or its chunks; it runs once or twice a step.
  case denoiser
  /// Latents to a picture.
  case vaeDecoder = "vae_decoder"
  /// A picture to latents, for image-to-image.
  case vaeEncoder = "vae_encoder"

  /// The part of a run that the component belongs to.
  public var stage: Stage {
    switch self {
    case .textEncoder, .textEncoder2, .textEncoder3: .textEncoder
    case .modulation, .denoiser: .denoiser
    case .vaeDecoder, .vaeEncoder: .vae
    }
  }
}

/// A part of a run. Backend and compute units are chosen for each.
public enum Stage: String, Sendable, Codable, CaseIterable, Hashable {
  /// Tokens to embeddings.
  case textEncoder = "text_encoder"
  /// All steps, with their modulation.
  case denoiser
  /// Latents to the picture, and a picture to begin with to latents.
  case vae
}
