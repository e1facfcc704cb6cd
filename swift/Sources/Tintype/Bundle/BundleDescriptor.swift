/// `bundle.json`: what a converted model is, apart from what one run wants of it (docs/bundle_format.md).
public struct BundleDescriptor: Codable, Sendable, Equatable {
  /// Always "tintype-bundle".
  public let format: String
  /// Always 2; other versions are refused.
  public let formatVersion: Int
  /// What its maker called it.
  public let name: String
  /// What sets its generation apart.
  public let family: Family
  /// What the graphs are laid out for.
  public let target: Target
  /// The type of weights and activations before compression.
  public let precision: Precision
  /// The default size, and the latent of it.
  public internal(set) var size: ImageSize
  /// The latent of the default size.
  public internal(set) var latent: Latent
  /// All sizes, the default one first; nil where there is only one.
  public let sizes: [SizeRow]?
  /// How noise levels are spaced.
  public let schedule: Schedule
  /// The text that the denoiser attends to.
  public let context: Context
  /// The text's summary that the modulation takes.
  public let pooled: Pooled
  /// What a run uses when it does not say.
  public let defaults: Defaults
  /// The denoiser's and the other components' dimensions, for `inspect`.
  package let config: [String: JSONValue]?
  /// By name; names that this release does not know are kept.
  public internal(set) var components: [String: ComponentRow]
  /// By folder name.
  public let tokenizers: [String: TokenizerRow]
  /// The map from latents to small pictures; nil: it is fitted when previews are first asked for.
  public let preview: PreviewRow?
  /// Where the weights came from: files with their hashes, the repository, LoRAs.
  package let source: [String: JSONValue]?
  /// Versions of the programs that made the bundle.
  public let tools: [String: String]?
  /// What `tintype verify` measured, by backend.
  package let accuracy: [String: JSONValue]?

  enum CodingKeys: String, CodingKey {
    case format, name, family, target, precision, size, latent, sizes, schedule, context, pooled, defaults
    case config, components, tokenizers, preview, source, tools, accuracy
    case formatVersion = "format_version"
  }

  /// The VAE's latent: its shape, and model space = (VAE space − shift)·scale.
  public struct Latent: Codable, Sendable, Equatable {
    /// Channels of the latent.
    public let channels: Int
    /// Latent pixels down.
    public let height: Int
    /// Latent pixels across.
    public let width: Int
    /// Pixels of the image along one edge of a latent pixel.
    public let downscale: Int
    /// Model space is this times the distance from `shift`.
    public let scale: Double
    /// What is subtracted from the VAE's latent before scaling.
    public let shift: Double

    /// [1, channels, height, width]
    public var shape: [Int] { [1, channels, height, width] }

    func resized(height: Int, width: Int) -> Latent {
      Latent(channels: channels, height: height, width: width, downscale: downscale, scale: scale, shift: shift)
    }
  }

  /// The file of the map for previews.
  public struct PreviewRow: Codable, Sendable, Equatable {
    /// Relative to the bundle's folder.
    public let path: String
  }

  /// The text sequence that the denoiser attends to: tokens that CLIP and T5 read, and its width.
  public struct Context: Codable, Sendable, Equatable {
    /// Tokens that CLIP reads, attended to or (in FLUX) only pooled.
    public let clipTokens: Int
    /// Tokens that T5 reads.
    public let t5Tokens: Int
    /// Width of a token's embedding.
    public let dim: Int

    enum CodingKeys: String, CodingKey {
      case dim
      case clipTokens = "clip_tokens"
      case t5Tokens = "t5_tokens"
    }
  }

  /// The pooled text embedding's width.
  public struct Pooled: Codable, Sendable, Equatable {
    /// Width of the embedding.
    public let dim: Int
  }

  /// What a run uses when the caller does not say.
  public struct Defaults: Codable, Sendable, Equatable {
    /// Euler steps.
    public let steps: Int
    /// How strongly the prompt is followed; 1 or less: without guidance.
    public let guidanceScale: Double

    enum CodingKeys: String, CodingKey {
      case steps
      case guidanceScale = "guidance_scale"
    }
  }

  /// One tokenizer folder; `bosTokenID` is nil where the kind has no start token (T5).
  public struct TokenizerRow: Codable, Sendable, Equatable {
    /// How it splits a text.
    public let kind: Kind
    /// Relative to the bundle's folder.
    public let path: String
    /// Ids a text is cut or padded to.
    public let maxLength: Int
    /// The id before every text.
    public let bosTokenID: Int?
    /// The id after every text.
    public let eosTokenID: Int
    /// The id that fills the rest.
    public let padTokenID: Int

    enum CodingKeys: String, CodingKey {
      case kind, path
      case maxLength = "max_length"
      case bosTokenID = "bos_token_id"
      case eosTokenID = "eos_token_id"
      case padTokenID = "pad_token_id"
    }
  }

  /// The components that a pipeline knows and the bundle has, in the bundle's order.
  public var knownComponents: [PipelineComponent] {
    PipelineComponent.allCases.filter { components[$0.rawValue] != nil }
  }

  /// The component; throws `BundleError.missingComponent`, saying how to get it, where the bundle has none.
  public func component(_ component: PipelineComponent) throws -> ComponentRow {
    guard let row = components[component.rawValue] else {
      throw BundleError.missingComponent(
        name: component.rawValue, bundle: name, known: knownComponents.map(\.rawValue))
    }
    return row
  }
}

/// Width and height of an image in pixels.
public struct ImageSize: Codable, Sendable, Hashable, CustomStringConvertible {
  /// Pixels across.
  public let width: Int
  /// Pixels down.
  public let height: Int

  /// A size in pixels.
  public init(width: Int, height: Int) {
    self.width = width
    self.height = height
  }

  public var description: String { "\(width)x\(height)" }
}
