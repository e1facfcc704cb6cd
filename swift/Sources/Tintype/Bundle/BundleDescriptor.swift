/// `bundle.json`: what a converted model is, apart from what one run wants of it (docs/bundle_format.md).
public struct BundleDescriptor: Codable, Sendable, Equatable {
  public let format: String
  public let formatVersion: Int
  public let name: String
  public let family: String
  public let target: String
  public let precision: String
  /// The default size, and the latent of it.
  public internal(set) var size: ImageSize
  public internal(set) var latent: Latent
  /// All sizes, the default one first; nil where there is only one.
  public let sizes: [SizeRow]?
  public let schedule: Schedule
  public let context: Context
  public let pooled: Pooled
  public let defaults: Defaults
  /// The denoiser's and the other components' dimensions, for `inspect`.
  public let config: [String: JSONValue]?
  public internal(set) var components: [String: ComponentRow]
  public let tokenizers: [String: TokenizerRow]
  /// The map from latents to small pictures; nil: it is fitted when previews are first asked for.
  public let preview: PreviewRow?
  public let source: [String: JSONValue]?
  public let tools: [String: String]?
  public let accuracy: [String: JSONValue]?

  enum CodingKeys: String, CodingKey {
    case format, name, family, target, precision, size, latent, sizes, schedule, context, pooled, defaults
    case config, components, tokenizers, preview, source, tools, accuracy
    case formatVersion = "format_version"
  }

  /// The VAE's latent: its shape, and model space = (VAE space − shift)·scale.
  public struct Latent: Codable, Sendable, Equatable {
    public let channels: Int
    public let height: Int
    public let width: Int
    /// Pixels of the image along one edge of a latent pixel.
    public let downscale: Int
    public let scale: Double
    public let shift: Double

    /// [1, channels, height, width]
    public var shape: [Int] { [1, channels, height, width] }

    func resized(height: Int, width: Int) -> Latent {
      Latent(channels: channels, height: height, width: width, downscale: downscale, scale: scale, shift: shift)
    }
  }

  /// The file of the map for previews.
  public struct PreviewRow: Codable, Sendable, Equatable {
    public let path: String
  }

  /// The text sequence that the denoiser attends to: tokens that CLIP and T5 read, and its width.
  public struct Context: Codable, Sendable, Equatable {
    public let clipTokens: Int
    public let t5Tokens: Int
    public let dim: Int

    enum CodingKeys: String, CodingKey {
      case dim
      case clipTokens = "clip_tokens"
      case t5Tokens = "t5_tokens"
    }
  }

  /// The pooled text embedding's width.
  public struct Pooled: Codable, Sendable, Equatable {
    public let dim: Int
  }

  /// What a run uses when the caller does not say.
  public struct Defaults: Codable, Sendable, Equatable {
    public let steps: Int
    public let guidanceScale: Double

    enum CodingKeys: String, CodingKey {
      case steps
      case guidanceScale = "guidance_scale"
    }
  }

  /// One tokenizer folder; `bosTokenID` is nil where the kind has no start token (T5).
  public struct TokenizerRow: Codable, Sendable, Equatable {
    public let kind: String
    public let path: String
    public let maxLength: Int
    public let bosTokenID: Int?
    public let eosTokenID: Int
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
  public var knownComponents: [Component] { Component.allCases.filter { components[$0.rawValue] != nil } }

  /// The component; throws `BundleError.missingComponent`, saying how to get it, where the bundle has none.
  public func component(_ component: Component) throws -> ComponentRow {
    guard let row = components[component.rawValue] else {
      throw BundleError.missingComponent(
        name: component.rawValue, bundle: name, known: knownComponents.map(\.rawValue))
    }
    return row
  }
}

/// Width and height of an image in pixels.
public struct ImageSize: Codable, Sendable, Hashable, CustomStringConvertible {
  public let width: Int
  public let height: Int

  /// A size in pixels.
  public init(width: Int, height: Int) {
    self.width = width
    self.height = height
  }

  public var description: String { "\(width)x\(height)" }
}
