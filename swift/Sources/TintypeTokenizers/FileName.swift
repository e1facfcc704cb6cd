import Foundation

/// Files of a tokenizer's folder, and how they are read.
enum FileName {
  static let vocabulary = "vocab.json"
  static let merges = "merges.txt"
  static let tokenizer = "tokenizer.json"

  static func read(_ url: URL) throws -> Data {
    do {
      return try Data(contentsOf: url)
    } catch {
      let missing = !FileManager.default.fileExists(atPath: url.path)
      throw TokenizerError.unreadable(
        file: url.path, reason: missing ? "there is no such file" : error.localizedDescription)
    }
  }

  /// A decoding error as one phrase: where, and what.
  static func describe(_ error: DecodingError) -> String {
    func place(_ context: DecodingError.Context) -> String {
      let path = context.codingPath.map { key in key.intValue.map { "[\($0)]" } ?? key.stringValue }
      return path.isEmpty ? context.debugDescription : "\(path.joined(separator: ".")): \(context.debugDescription)"
    }
    switch error {
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      return place(context)
    case .keyNotFound(let key, _):
      return "the key \(key.stringValue) is missing"
    @unknown default:
      return "\(error)"
    }
  }
}
