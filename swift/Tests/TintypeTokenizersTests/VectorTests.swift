import Foundation
import TestSupport
import Testing
import TintypeTokenizers

/// Ids recorded from Hugging Face's tokenizers (tests/data/scripts/make_tokenizers.py).
private struct Row: Decodable {
  let text: String
  let clip: [Int32]
  let t5: [Int32]
}

@Suite struct VectorTests {
  private let rows: [Row]

  init() throws {
    rows = try TestData.decode([Row].self, "tokenizers/vectors.json")
  }

  @Test func everyTextIsThere() {
    #expect(rows.count == 3006)
  }

  @Test func clipMatchesHuggingFace() throws {
    let tokenizer = try ClipTokenizer(
      folder: TestData.url("tokenizers/clip"), bosTokenID: 1624, eosTokenID: 1625, padTokenID: 1625)
    let wrong = rows.filter { tokenizer.encode($0.text, length: 77).ids != $0.clip }
    #expect(wrong.isEmpty, "\(wrong.count) texts differ, the first is \(String(reflecting: wrong.first?.text))")
  }

  @Test func t5MatchesHuggingFace() throws {
    let tokenizer = try UnigramTokenizer(folder: TestData.url("tokenizers/t5"), padTokenID: 0)
    let wrong = rows.filter { tokenizer.encode($0.text) != $0.t5 }
    #expect(wrong.isEmpty, "\(wrong.count) texts differ, the first is \(String(reflecting: wrong.first?.text))")
  }
}
