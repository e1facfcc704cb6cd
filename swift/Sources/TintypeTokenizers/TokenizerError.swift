import Foundation

/// What can be wrong with a tokenizer's files. Every case holds the value; `description` adds the remedy.
public enum TokenizerError: Error, Equatable, Sendable {
  /// The file does not exist or cannot be read.
  case unreadable(file: String, reason: String)
  /// The file is not what its kind demands (`expected` says what that is).
  case malformed(file: String, reason: String, expected: String)
  /// A line of `merges.txt` (counted from 1) is not two symbols with a space between.
  case badMerge(file: String, line: Int, text: String)
  /// A merge uses or makes a symbol that `vocab.json` does not list.
  case mergeNotInVocabulary(symbol: String, line: Int, file: String)
  /// So many symbols of `vocab.json` are made by no merge that merges must be missing; `symbol` is one of them.
  case missingMerges(file: String, count: Int, symbol: String)
  /// A special token's id is not in the vocabulary.
  case unknownTokenID(name: String, id: Int, vocabularySize: Int)
  /// A valid file asks for a part of Hugging Face's tokenizers that this reader does not have.
  case unsupported(part: String, value: String, file: String, supported: String)
}

extension TokenizerError: LocalizedError, CustomStringConvertible {
  public var description: String { "\(explanation.problem): \(explanation.remedy)" }
  /// The problem alone: an alert shows the remedy beside it.
  public var errorDescription: String? { explanation.problem }
  /// What helps.
  public var recoverySuggestion: String? { explanation.remedy }

  private var explanation: (problem: String, remedy: String) {
    switch self {
    case .unreadable(let file, let reason):
      ("[tokenizer] \(file) cannot be read (\(reason))", "convert the model again")
    case .malformed(let file, let reason, let expected):
      ("[tokenizer] \(file) is damaged: \(reason), expected \(expected)", "convert the model again")
    case .badMerge(let file, let line, let text):
      (
        "[tokenizer] \(file), line \(line) is \(quoted(text)), expected two symbols with one space between",
        "copy merges.txt from the original model"
      )
    case .mergeNotInVocabulary(let symbol, let line, let file):
      (
        "[tokenizer] \(file), line \(line) needs the symbol \(quoted(symbol)), which vocab.json does not list",
        "vocab.json and merges.txt must come from the same model"
      )
    case .missingMerges(let file, let count, let symbol):
      (
        "[tokenizer] \(file) is cut: \(count) symbols of vocab.json are made by none of its merges, such as "
          + quoted(symbol), "copy merges.txt from the original model"
      )
    case .unknownTokenID(let name, let id, let size):
      (
        "[tokenizer] \(name) is \(id), but the vocabulary has no such id among its \(size)",
        "vocabulary and bundle.json must come from the same model"
      )
    case .unsupported(let part, let value, let file, let supported):
      (
        "[tokenizer] \(file) asks for the \(part) \(quoted(value)), supported are \(supported)",
        "export the tokenizer with one of these"
      )
    }
  }

  private func quoted(_ text: String) -> String {
    let short = text.unicodeScalars.count > 80 ? String(text.unicodeScalars.prefix(77)) + "..." : text
    return "'\(short)'"
  }
}
