import Foundation

/// CLIP's byte-level BPE, id for id as Hugging Face's `CLIPTokenizer` (transformers 5).
///
/// text ─► special tokens cut out ─► NFC, lower case ─► `ClipSplit` ─► UTF-8 bytes ─► `BytePairEncoder` ─► ids
///
/// The start, end and padding tokens are recognised inside the text, as in the original: where `!` is the padding
/// token (Stable Diffusion 3's second tokenizer), every exclamation mark of a prompt becomes the padding id.
public struct ClipTokenizer: TextTokenizer {
  /// The id that fills the rest of a fixed length.
  public let padTokenID: Int32
  /// The id before every text.
  public let bosTokenID: Int32
  /// The id after every text; it also stands for bytes that the vocabulary does not know.
  public let eosTokenID: Int32

  private let encoder: BytePairEncoder
  /// Ids of single bytes, within a word and at its end. A byte without one becomes the end token, the "unknown" one.
  private let byteIDs: [Int32]
  private let lastByteIDs: [Int32]
  private let special: AddedTokens

  /// Marks the last symbol of a word in the vocabulary.
  private static let wordEnd = "</w>"

  /// - Parameters:
  ///   - vocabulary: symbol to id, as in `vocab.json`.
  ///   - merges: the text of `merges.txt`, pairs in order of rank.
  ///   - file: names the folder in errors.
  public init(
    vocabulary: [String: Int], merges: String, bosTokenID: Int, eosTokenID: Int, padTokenID: Int,
    file: String = "tokenizer"
  ) throws {
    let ids = try vocabulary.mapValues { id in
      guard let id = Int32(exactly: id), id >= 0 else {
        throw TokenizerError.malformed(
          file: "\(file)/\(FileName.vocabulary)", reason: "an id is \(id)", expected: "ids from 0 to \(Int32.max)")
      }
      return id
    }
    let pairs = try Self.pairs(merges, ids: ids, file: "\(file)/\(FileName.merges)")
    try Self.checkComplete(pairs.map(\.id), ids: ids, file: "\(file)/\(FileName.merges)")
    self.encoder = BytePairEncoder(merges: pairs)

    var names: [Int32: String] = [:]
    let wanted = [("bos_token_id", bosTokenID), ("eos_token_id", eosTokenID), ("pad_token_id", padTokenID)]
    for (symbol, id) in ids where wanted.contains(where: { $0.1 == Int(id) }) { names[id] = symbol }
    var added: [Int32: AddedToken] = [:]
    for (name, id) in wanted {
      guard let id32 = Int32(exactly: id), let symbol = names[id32] else {
        throw TokenizerError.unknownTokenID(name: name, id: id, vocabularySize: ids.count)
      }
      added[id32] = AddedToken(id: id32, content: symbol)
    }
    self.special = AddedTokens(added.values.sorted { $0.id < $1.id })
    self.bosTokenID = Int32(bosTokenID)
    self.eosTokenID = Int32(eosTokenID)
    self.padTokenID = Int32(padTokenID)
    let unknown = self.eosTokenID
    self.byteIDs = ByteAlphabet.scalars.map { ids[String($0)] ?? unknown }
    self.lastByteIDs = ByteAlphabet.scalars.map { ids[String($0) + Self.wordEnd] ?? unknown }
  }

  /// Reads `vocab.json` and `merges.txt` from a folder.
  public init(folder: URL, bosTokenID: Int, eosTokenID: Int, padTokenID: Int) throws {
    let vocabularyFile = folder.appendingPathComponent(FileName.vocabulary)
    let vocabulary: [String: Int]
    do {
      vocabulary = try JSONDecoder().decode([String: Int].self, from: try FileName.read(vocabularyFile))
    } catch let error as DecodingError {
      throw TokenizerError.malformed(
        file: vocabularyFile.path, reason: FileName.describe(error), expected: "a JSON object of symbols and ids")
    }
    let merges = String(decoding: try FileName.read(folder.appendingPathComponent(FileName.merges)), as: UTF8.self)
    try self.init(
      vocabulary: vocabulary, merges: merges, bosTokenID: bosTokenID, eosTokenID: eosTokenID, padTokenID: padTokenID,
      file: folder.path)
  }

  /// The start token and the end token.
  public var specialTokens: (before: [Int32], after: [Int32]) { ([bosTokenID], [eosTokenID]) }

  /// The ids of a text, without start, end and padding.
  public func contentIDs(_ text: String) -> [Int32] {
    special.split(text).flatMap { part -> [Int32] in
      switch part {
      case .token(let id): return [id]
      case .text(let text): return ClipSplit.words(Self.normalised(text)).flatMap(wordIDs)
      }
    }
  }

  private func wordIDs(_ word: ArraySlice<Unicode.Scalar>) -> [Int32] {
    var scalars = String.UnicodeScalarView()
    scalars.append(contentsOf: word)
    let bytes = Array(String(scalars).utf8)
    guard let last = bytes.last else { return [] }
    return encoder.merge(bytes.dropLast().map { byteIDs[Int($0)] } + [lastByteIDs[Int(last)]])
  }

  /// NFC, then lower case character by character (no final-sigma rule, as in Rust's `char::to_lowercase`). Hugging
  /// Face also turns runs of white space into one space; the split drops them all, so that needs no step here.
  private static func normalised(_ text: String) -> [Unicode.Scalar] {
    NormalizerSpec.UnicodeForm.nfc.normalise(text).unicodeScalars.flatMap {
      $0.isASCII && !("A"..."Z").contains($0) ? [$0] : Array($0.properties.lowercaseMapping.unicodeScalars)
    }
  }

  /// A file that was cut at a line's end is valid, but gives other tokens. What neither bytes nor merges
  /// make are special tokens, of which there are few.
  private static func checkComplete(_ made: [Int32], ids: [String: Int32], file: String) throws {
    let made = Set(made)
    let orphans = ids.filter { symbol, id in
      if made.contains(id) { return false }  // nearly all of them
      let letters = symbol.hasSuffix(wordEnd) ? symbol.dropLast(wordEnd.count) : symbol[...]
      return letters.unicodeScalars.count > 1
    }
    guard orphans.count > max(16, ids.count / 100), let first = orphans.keys.min() else { return }
    throw TokenizerError.missingMerges(file: file, count: orphans.count, symbol: first)
  }

  private static func pairs(
    _ text: String, ids: [String: Int32], file: String
  ) throws -> [(left: Int32, right: Int32, id: Int32)] {
    var rows: [(left: Int32, right: Int32, id: Int32)] = []
    let lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
    for (index, scalars) in lines.enumerated() {
      let line = scalars.last == "\r" ? scalars.dropLast() : scalars
      if line.isEmpty || line.starts(with: "#version".unicodeScalars) { continue }
      let parts = line.split(separator: " ", omittingEmptySubsequences: false).map { String($0) }
      guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }) else {
        throw TokenizerError.badMerge(file: file, line: index + 1, text: String(line))
      }
      func id(_ symbol: String) throws -> Int32 {
        guard let id = ids[symbol] else {
          throw TokenizerError.mergeNotInVocabulary(symbol: symbol, line: index + 1, file: file)
        }
        return id
      }
      rows.append((try id(parts[0]), try id(parts[1]), try id(parts[0] + parts[1])))
    }
    return rows
  }
}
