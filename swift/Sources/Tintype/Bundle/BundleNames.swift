/// Names that cross the package's borders; Python's are in python/tintype/names.py, docs/bundle_format.md explains
/// them.
public enum BundleNames {
  public static let format = "tintype-bundle"
  public static let formatVersion = 1
  public static let file = "bundle.json"

  public static let inputIDs = "input_ids"
  public static let hiddenStates = "hidden_states"
  public static let pooled = "pooled"
  public static let timestep = "timestep"
  public static let guidance = "guidance"
  public static let modulation = "modulation"
  public static let latent = "latent"
  public static let context = "context"
  public static let velocity = "velocity"
  public static let image = "image"
  public static let moments = "moments"

  public static let tokenizer = "tokenizer"
  public static let tokenizer2 = "tokenizer_2"
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
  case textEncoder = "text_encoder"
  case textEncoder2 = "text_encoder_2"
  case textEncoder3 = "text_encoder_3"
  case modulation
  case denoiser
  case vaeDecoder = "vae_decoder"
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
  case textEncoder = "text_encoder"
  case denoiser
  case vae
}
