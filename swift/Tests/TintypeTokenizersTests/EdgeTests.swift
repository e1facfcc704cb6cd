import Foundation
import TestSupport
import Testing
import TintypeTokenizers

/// Awkward texts and their ids from Hugging Face (tests/data/scripts/make_tokenizer_edges.py): special tokens in the
/// text, `!` as the padding token, combining marks, long words, byte fallback, added tokens that strip spaces.
private struct Edge: Decodable {
  let tokenizer: String
  let kind: String
  let bos: Int?
  let eos: Int?
  let pad: Int
  let text: String
  let ids: [Int32]
}

@Suite struct EdgeTests {
  private static let folders = [
    "sd3-medium-tiny/tokenizer", "sd3-medium-tiny/tokenizer_2", "sd3-medium-tiny/tokenizer_3", "tokenizers/t5",
    "tokenizers/t5_bytes",
  ]

  @Test(arguments: folders) func matchesHuggingFace(_ folder: String) throws {
    let rows = try TestData.decode([Edge].self, "tokenizers/edges.json").filter { $0.tokenizer == folder }
    let first = try #require(rows.first)
    let url = try TestData.url(folder)
    let encode: (String) -> [Int32]
    if first.kind == "clip" {
      let tokenizer = try ClipTokenizer(
        folder: url, bosTokenID: #require(first.bos), eosTokenID: #require(first.eos), padTokenID: first.pad)
      encode = { tokenizer.encode($0, length: 77).ids }
    } else {
      let tokenizer = try UnigramTokenizer(folder: url, padTokenID: first.pad)
      encode = { tokenizer.encode($0) }
    }
    for row in rows {
      #expect(encode(row.text) == row.ids, "\(String(reflecting: row.text))")
    }
  }
}
