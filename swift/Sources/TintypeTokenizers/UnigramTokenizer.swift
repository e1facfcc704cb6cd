import Foundation

/// T5's tokenizer, id for id as Hugging Face's `tokenizers` runs the same `tokenizer.json`.
///
/// text ─► added tokens cut out ─► normalizers ─► Metaspace pieces ─► `UnigramModel` ─► ids ─► template (`</s>`)
public struct UnigramTokenizer: TextTokenizer {
  /// The id that fills the rest of a fixed length.
  public let padTokenID: Int32
  /// What the file's template puts around a text: nothing before it and `</s>` after it for T5.
  public let specialTokens: (before: [Int32], after: [Int32])

  private let added: AddedTokens
  /// Tokens that are looked for after normalising.
  private let addedNormalised: AddedTokens
  private let normalizer: Normalizer?
  private let preTokenizer: PreTokenizer
  private let model: UnigramModel

  /// Reads `tokenizer.json` from a folder.
  public init(folder: URL, padTokenID: Int) throws {
    let file = folder.appendingPathComponent(FileName.tokenizer)
    try self.init(json: try FileName.read(file), padTokenID: padTokenID, file: file.path)
  }

  /// - Parameters:
  ///   - json: the contents of `tokenizer.json`.
  ///   - file: names it in errors.
  public init(json: Data, padTokenID: Int, file: String = "tokenizer.json") throws {
    let spec: TokenizerFile
    do {
      spec = try JSONDecoder().decode(TokenizerFile.self, from: json)
    } catch let error as UnsupportedPart {
      throw TokenizerError.unsupported(part: error.part, value: error.value, file: file, supported: error.supported)
    } catch let error as DecodingError {
      throw TokenizerError.malformed(
        file: file, reason: FileName.describe(error), expected: "a Unigram tokenizer of Hugging Face's tokenizers")
    }
    let pieces = spec.model.vocab.map { ($0.text, $0.score) }
    func id(_ value: Int?, _ name: String) throws -> Int32 {
      guard let value, pieces.indices.contains(value) else {
        throw TokenizerError.unknownTokenID(name: name, id: value ?? -1, vocabularySize: pieces.count)
      }
      return Int32(clamping: value)
    }
    model = UnigramModel(
      pieces: pieces, unknownID: try id(spec.model.unkID, "unk_id"), byteFallback: spec.model.byteFallback ?? false)
    let normalizer = try spec.normalizer.map { try Normalizer($0, file: file) }
    self.normalizer = normalizer
    preTokenizer = PreTokenizer(spec.preTokenizer)
    self.padTokenID = try id(padTokenID, "pad_token_id")
    specialTokens = (
      try (spec.postProcessor?.before ?? []).map { try id($0, "a special token's id") },
      try (spec.postProcessor?.after ?? []).map { try id($0, "a special token's id") }
    )
    let tokens = (spec.addedTokens ?? []).map { row in
      let content = row.normalized == true ? normalizer?.normalise(row.content) ?? row.content : row.content
      return (
        normalised: row.normalized == true,
        token: AddedToken(
          id: Int32(clamping: row.id), content: content, singleWord: row.singleWord ?? false,
          stripsLeft: row.lstrip ?? false, stripsRight: row.rstrip ?? false)
      )
    }
    added = AddedTokens(tokens.filter { !$0.normalised }.map(\.token))
    addedNormalised = AddedTokens(tokens.filter(\.normalised).map(\.token))
  }

  /// The ids of a text, without end and padding.
  public func contentIDs(_ text: String) -> [Int32] {
    var isFirst = true
    return added.split(text).flatMap { part -> [Int32] in
      defer { isFirst = false }
      switch part {
      case .token(let id): return [id]
      case .text(let text): return normalisedIDs(normalizer?.normalise(text) ?? text, isFirst: isFirst)
      }
    }
  }

  private func normalisedIDs(_ text: String, isFirst: Bool) -> [Int32] {
    var isFirst = isFirst
    return addedNormalised.split(text).flatMap { part -> [Int32] in
      defer { isFirst = false }
      switch part {
      case .token(let id): return [id]
      case .text(let text): return preTokenizer.pieces(text, isFirst: isFirst).flatMap(model.encode)
      }
    }
  }
}
