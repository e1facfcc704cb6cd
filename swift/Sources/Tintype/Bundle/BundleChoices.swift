/// Values of `bundle.json` that are one of a list; a bundle with another one is refused by `BundleError.badValue`.
extension BundleDescriptor {
  /// What sets models apart at generation: their text encoders, and how guidance enters.
  public enum Family: String, Codable, Sendable, CaseIterable {
    /// Stable Diffusion 3 and 3.5.
    case stableDiffusion3 = "sd3"
    /// FLUX.1.
    case flux

    /// Throws where the value is none of the list.
    public init(from decoder: any Decoder) throws { self = try decoder.listed() }
  }

  /// What the graphs are laid out for. Both run everywhere.
  public enum Target: String, Codable, Sendable, CaseIterable {
    /// GPUs, and MLX.
    case gpu
    /// The Neural Engine.
    case neuralEngine = "ane"

    /// Throws where the value is none of the list.
    public init(from decoder: any Decoder) throws { self = try decoder.listed() }
  }

  /// The type of weights and activations before compression.
  public enum Precision: String, Codable, Sendable, CaseIterable {
    /// 16 bits.
    case float16
    /// 32 bits.
    case float32

    /// Throws where the value is none of the list.
    public init(from decoder: any Decoder) throws { self = try decoder.listed() }
  }
}

extension BundleDescriptor.Schedule {
  /// How noise levels are spaced, and where their shift comes from.
  public enum Kind: String, Codable, Sendable, CaseIterable {
    /// Evenly over the trained timesteps (Stable Diffusion 3).
    case euler = "flow_match_euler"
    /// Evenly from 1 to 0 (FLUX.1-schnell).
    case linear = "flow_match_linear"
    /// The same, shifted by the picture's size (FLUX.1-dev).
    case dynamic = "flow_match_dynamic"

    /// Throws where the value is none of the list.
    public init(from decoder: any Decoder) throws { self = try decoder.listed() }
  }
}

extension BundleDescriptor.TokenizerRow {
  /// How a tokenizer splits a text.
  public enum Kind: String, Codable, Sendable, CaseIterable {
    /// CLIP's byte pairs.
    case clipBytePairs = "clip_bpe"
    /// T5's most likely pieces.
    case t5Unigram = "t5_unigram"

    /// Throws where the value is none of the list.
    public init(from decoder: any Decoder) throws { self = try decoder.listed() }
  }
}

/// A value that is none of its list.
struct UnlistedValue: Error {
  let path: [any CodingKey]
  let value: String
  let expected: [String]
}

extension Decoder {
  fileprivate func listed<Value: RawRepresentable<String> & CaseIterable>() throws -> Value {
    let text = try singleValueContainer().decode(String.self)
    guard let value = Value(rawValue: text) else {
      throw UnlistedValue(path: codingPath, value: text, expected: Value.allCases.map(\.rawValue))
    }
    return value
  }
}
