/// Names that cross the package's borders; Python's are in python/tintype/names.py, docs/bundle_format.md explains
/// them.
package enum BundleNames {
  /// `bundle.json`'s `format`.
  package static let format = "tintype-bundle"
  /// `bundle.json`'s `format_version` that this release reads.
  package static let formatVersion = 2
  /// The description's file name.
  package static let file = "bundle.json"

  /// Token ids, int32 [1, tokens].
  package static let inputIDs = "input_ids"
  /// A text encoder's embeddings of every token, [1, tokens, width].
  package static let hiddenStates = "hidden_states"
  /// A CLIP encoder's embedding of the whole text, [1, width]; the modulation takes both side by side.
  package static let pooled = "pooled"
  /// The sinusoid of the noise level 1000·σ, which the modulation takes, [batch, 256].
  package static let timestepFeatures = "timestep_features"
  /// That of the distilled guidance (FLUX.1-dev), [batch, 256].
  package static let guidanceFeatures = "guidance_features"
  /// The modulation's output and the denoiser's input, [batch, rows, width].
  package static let modulation = "modulation"
  /// Latents in model space, [batch, channels, height, width].
  package static let latent = "latent"
  /// Embeddings that the denoiser attends to, [batch, tokens, width].
  package static let context = "context"
  /// The denoiser's output, of the latents' shape: noise less picture.
  package static let velocity = "velocity"
  /// Pixels in −1…1, [1, 3, height, width].
  package static let image = "image"
  /// The VAE encoder's output, [1, 2·channels, height, width]: means, then log-variances.
  package static let moments = "moments"

  /// CLIP-L's tokenizer.
  package static let tokenizer = "tokenizer"
  /// CLIP-G's tokenizer.
  package static let tokenizer2 = "tokenizer_2"
  /// T5's tokenizer.
  package static let tokenizer3 = "tokenizer_3"

  static let elementTypes = ["float16", "float32", "int32"]
}

/// A component of a bundle, by the name it has in `bundle.json`; in the order in which a bundle lists them.
public enum PipelineComponent: String, Sendable, Codable, CaseIterable, Hashable {
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
  public var stage: PipelineStage {
    switch self {
    case .textEncoder, .textEncoder2, .textEncoder3: .textEncoder
    case .modulation, .denoiser: .denoiser
    case .vaeDecoder, .vaeEncoder: .vae
    }
  }
}

/// A part of a run. Backend and compute units are chosen for each.
public enum PipelineStage: String, Sendable, Codable, CaseIterable, Hashable {
  /// Tokens to embeddings.
  case textEncoder = "text_encoder"
  /// All steps, with their modulation.
  case denoiser
  /// Latents to the picture, and a picture to begin with to latents.
  case vae
}
