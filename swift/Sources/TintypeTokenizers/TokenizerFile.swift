/// The parts of Hugging Face's `tokenizer.json` that a Unigram tokenizer uses. What is unknown is refused by name.
struct TokenizerFile: Decodable {
  let addedTokens: [Added]?
  let normalizer: NormalizerSpec?
  let preTokenizer: PreTokenizerSpec?
  let postProcessor: PostProcessorSpec?
  let model: Model

  enum CodingKeys: String, CodingKey {
    case addedTokens = "added_tokens"
    case normalizer
    case preTokenizer = "pre_tokenizer"
    case postProcessor = "post_processor"
    case model
  }

  struct Added: Decodable {
    let id: Int
    let content: String
    let singleWord: Bool?
    let lstrip: Bool?
    let rstrip: Bool?
    let normalized: Bool?

    enum CodingKeys: String, CodingKey {
      case id, content, lstrip, rstrip, normalized
      case singleWord = "single_word"
    }
  }

  struct Model: Decodable {
    let type: String?
    let vocab: [Piece]
    let unkID: Int?
    let byteFallback: Bool?

    enum CodingKeys: String, CodingKey {
      case type, vocab
      case unkID = "unk_id"
      case byteFallback = "byte_fallback"
    }

    /// Refuses another kind of model before reading its vocabulary, which has another form.
    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      type = try values.decodeIfPresent(String.self, forKey: .type)
      guard type == nil || type == "Unigram" else {
        throw UnsupportedPart(part: "model", value: type ?? "", supported: "Unigram")
      }
      vocab = try values.decode([Piece].self, forKey: .vocab)
      unkID = try values.decodeIfPresent(Int.self, forKey: .unkID)
      byteFallback = try values.decodeIfPresent(Bool.self, forKey: .byteFallback)
    }
  }

  /// `["▁the", -3.2]`: a piece and its log probability.
  struct Piece: Decodable {
    let text: String
    let score: Double

    init(from decoder: any Decoder) throws {
      var row = try decoder.unkeyedContainer()
      text = try row.decode(String.self)
      score = try row.decode(Double.self)
    }
  }
}

/// Thrown while decoding; `UnigramTokenizer` adds the file's name and rethrows it as a `TokenizerError`.
struct UnsupportedPart: Error {
  let part: String
  let value: String
  let supported: String
}

indirect enum NormalizerSpec: Decodable {
  case sequence([NormalizerSpec])
  case precompiled(charsmap: String)
  case form(UnicodeForm)
  case lowercase
  case strip(left: Bool, right: Bool)
  case replace(pattern: PatternSpec, content: String)

  enum UnicodeForm: String {
    case nfc = "NFC"
    case nfd = "NFD"
    case nfkc = "NFKC"
    case nfkd = "NFKD"
  }

  private enum Key: String, CodingKey {
    case type, normalizers, pattern, content
    case charsmap = "precompiled_charsmap"
    case left = "strip_left"
    case right = "strip_right"
  }

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    let type = try values.decode(String.self, forKey: .type)
    if let form = UnicodeForm(rawValue: type) {
      self = .form(form)
      return
    }
    switch type {
    case "Sequence": self = .sequence(try values.decode([NormalizerSpec].self, forKey: .normalizers))
    case "Precompiled": self = .precompiled(charsmap: try values.decode(String.self, forKey: .charsmap))
    case "Lowercase": self = .lowercase
    case "Strip":
      self = .strip(
        left: try values.decode(Bool.self, forKey: .left), right: try values.decode(Bool.self, forKey: .right))
    case "Replace":
      self = .replace(
        pattern: try values.decode(PatternSpec.self, forKey: .pattern),
        content: try values.decode(String.self, forKey: .content))
    default:
      throw UnsupportedPart(
        part: "normalizer", value: type,
        supported: "Sequence, Precompiled, NFC, NFD, NFKC, NFKD, Lowercase, Strip and Replace")
    }
  }
}

/// `{"String": "x"}` or `{"Regex": " {2,}"}`.
enum PatternSpec: Decodable {
  case literal(String)
  case regex(String)

  private enum Key: String, CodingKey {
    case literal = "String"
    case regex = "Regex"
  }

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    if let text = try values.decodeIfPresent(String.self, forKey: .literal) {
      self = .literal(text)
    } else {
      self = .regex(try values.decode(String.self, forKey: .regex))
    }
  }
}

indirect enum PreTokenizerSpec: Decodable {
  case sequence([PreTokenizerSpec])
  case whitespaceSplit
  case metaspace(Metaspace)

  struct Metaspace: Sendable {
    enum Prepend: String {
      case always, first, never
    }
    let replacement: Unicode.Scalar
    let prepend: Prepend
    let splits: Bool
  }

  private enum Key: String, CodingKey {
    case type, pretokenizers, replacement, split
    case prepend = "prepend_scheme"
    case prefixSpace = "add_prefix_space"
  }

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    let type = try values.decode(String.self, forKey: .type)
    switch type {
    case "Sequence": self = .sequence(try values.decode([PreTokenizerSpec].self, forKey: .pretokenizers))
    case "WhitespaceSplit": self = .whitespaceSplit
    case "Metaspace":
      let replacement = try values.decode(String.self, forKey: .replacement).unicodeScalars
      guard let scalar = replacement.first, replacement.count == 1 else {
        throw UnsupportedPart(
          part: "Metaspace replacement", value: String(replacement), supported: "a single character")
      }
      let scheme = try values.decodeIfPresent(String.self, forKey: .prepend)
      // Files older than tokenizers 0.15 say add_prefix_space instead.
      let prefix = try values.decodeIfPresent(Bool.self, forKey: .prefixSpace) ?? true
      guard let prepend = Metaspace.Prepend(rawValue: scheme ?? (prefix ? "always" : "never")) else {
        throw UnsupportedPart(part: "prepend_scheme", value: scheme ?? "", supported: "always, first and never")
      }
      let splits = try values.decodeIfPresent(Bool.self, forKey: .split) ?? true
      self = .metaspace(Metaspace(replacement: scalar, prepend: prepend, splits: splits))
    default:
      throw UnsupportedPart(part: "pre_tokenizer", value: type, supported: "Sequence, WhitespaceSplit and Metaspace")
    }
  }
}

/// `TemplateProcessing` for one text: special tokens before and after it.
struct PostProcessorSpec: Decodable {
  let before: [Int]
  let after: [Int]

  private enum Key: String, CodingKey {
    case type, single
    case tokens = "special_tokens"
  }
  private enum Step: String, CodingKey {
    case sequence = "Sequence"
    case special = "SpecialToken"
  }
  private struct Reference: Decodable {
    let id: String
  }
  private struct Special: Decodable {
    let ids: [Int]
  }
  private struct Row: Decodable {
    let special: String?

    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: Step.self)
      special = try values.decodeIfPresent(Reference.self, forKey: .special)?.id
      if special == nil { _ = try values.decode(Reference.self, forKey: .sequence) }
    }
  }

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    let type = try values.decode(String.self, forKey: .type)
    guard type == "TemplateProcessing" else {
      throw UnsupportedPart(part: "post_processor", value: type, supported: "TemplateProcessing")
    }
    let rows = try values.decode([Row].self, forKey: .single)
    let tokens = try values.decode([String: Special].self, forKey: .tokens)
    var before: [Int] = []
    var after: [Int] = []
    var seen = false
    for row in rows {
      guard let name = row.special else {
        seen = true
        continue
      }
      guard let ids = tokens[name]?.ids else {
        throw UnsupportedPart(
          part: "special token", value: name, supported: tokens.keys.sorted().joined(separator: ", "))
      }
      if seen { after += ids } else { before += ids }
    }
    self.before = before
    self.after = after
  }
}
