import Foundation
import TestSupport
import Testing
import TintypeTokenizers

@Suite struct TokenizerErrorTests {
  private let vocabulary = ["a": 0, "b": 1, "ab": 2, "<s>": 3, "</s>": 4]

  private func clip(_ vocabulary: [String: Int], merges: String, bos: Int = 3) throws -> ClipTokenizer {
    try ClipTokenizer(
      vocabulary: vocabulary, merges: merges, bosTokenID: bos, eosTokenID: 4, padTokenID: 4, file: "folder")
  }

  private func unigram(_ json: String) throws -> UnigramTokenizer {
    try UnigramTokenizer(json: Data(json.utf8), padTokenID: 0, file: "tokenizer.json")
  }

  @Test func missingFilesAreNamed() throws {
    let folder = URL(fileURLWithPath: "/nonexistent/tokenizer")
    #expect(
      throws: TokenizerError.unreadable(
        file: "/nonexistent/tokenizer/vocab.json", reason: "there is no such file")
    ) {
      try ClipTokenizer(folder: folder, bosTokenID: 0, eosTokenID: 1, padTokenID: 1)
    }
    #expect(
      throws: TokenizerError.unreadable(
        file: "/nonexistent/tokenizer/tokenizer.json", reason: "there is no such file")
    ) {
      try UnigramTokenizer(folder: folder, padTokenID: 0)
    }
  }

  @Test func badMergesAreNamedWithTheirLine() {
    #expect(throws: TokenizerError.badMerge(file: "folder/merges.txt", line: 2, text: "ab")) {
      try clip(vocabulary, merges: "#version: 0.2\nab\n")
    }
    #expect(throws: TokenizerError.mergeNotInVocabulary(symbol: "c", line: 1, file: "folder/merges.txt")) {
      try clip(vocabulary, merges: "a c\n")
    }
    #expect(throws: TokenizerError.mergeNotInVocabulary(symbol: "ba", line: 1, file: "folder/merges.txt")) {
      try clip(vocabulary, merges: "b a\r\n")
    }
  }

  @Test func mergesThatAreCutAreMissed() throws {
    var vocabulary = vocabulary
    for number in 0..<26 { vocabulary["a\(number)"] = 5 + number }
    let error = try #require(throws: TokenizerError.self) { try clip(vocabulary, merges: "a b\n") }
    #expect(error == .missingMerges(file: "folder/merges.txt", count: 28, symbol: "</s>"))
    #expect(error.description.contains("copy merges.txt from the original model"))
  }

  @Test func idsOutsideTheVocabularyAreRefused() {
    #expect(throws: TokenizerError.unknownTokenID(name: "bos_token_id", id: 99, vocabularySize: 5)) {
      try clip(vocabulary, merges: "a b", bos: 99)
    }
    #expect(throws: TokenizerError.self) { try clip(["a": -1], merges: "") }
    let noUnknown = #"{"model": {"type": "Unigram", "unk_id": 7, "vocab": [["a", -1.0]]}}"#
    #expect(throws: TokenizerError.unknownTokenID(name: "unk_id", id: 7, vocabularySize: 1)) { try unigram(noUnknown) }
  }

  @Test(arguments: [
    ("model", "BPE", #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}"#),
    (
      "normalizer", "Nmt",
      #"{"normalizer": {"type": "Nmt"}, "model": {"type": "Unigram", "unk_id": 0, "vocab": [["a", -1.0]]}}"#
    ),
    (
      "pattern", "a|b",
      #"{"normalizer": {"type": "Replace", "pattern": {"Regex": "a|b"}, "content": ""}, "#
        + #""model": {"type": "Unigram", "unk_id": 0, "vocab": [["a", -1.0]]}}"#
    ),
    (
      "pre_tokenizer", "ByteLevel",
      #"{"pre_tokenizer": {"type": "ByteLevel"}, "model": {"type": "Unigram", "unk_id": 0, "vocab": [["a", -1.0]]}}"#
    ),
    (
      "post_processor", "BertProcessing",
      #"{"post_processor": {"type": "BertProcessing"}, "model": {"unk_id": 0, "vocab": [["a", -1.0]]}}"#
    ),
  ]) func unknownPartsAreNamed(_ part: String, _ value: String, _ json: String) {
    #expect {
      try unigram(json)
    } throws: { error in
      guard case TokenizerError.unsupported(part, value, "tokenizer.json", _) = error else { return false }
      return "\(error)".contains("'\(value)', supported are ")
    }
  }

  @Test(arguments: [
    "", "[]", "{\"model\": {\"vocab\": [[1]]}}", "{}",
    #"{"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}, "model": {"unk_id": 0, "vocab": [["a", 0]]}}"#,
  ]) func damagedFilesAreRefused(_ json: String) {
    #expect {
      try unigram(json)
    } throws: { error in
      guard case TokenizerError.malformed(file: "tokenizer.json", _, _) = error else { return false }
      return "\(error)".hasSuffix("convert the model again")
    }
  }

  /// A trie whose offsets lead outside its units must end the search, not the process.
  @Test func wildTriesAreHarmless() throws {
    for unit: UInt32 in [.max, 0x7FFF_FFFF, 0x1FF << 10, 0x161] {
      let bytes = ([4, unit] as [UInt32]).flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
      }
      let map = Data(bytes).base64EncodedString()
      let json =
        #"{"normalizer": {"type": "Precompiled", "precompiled_charsmap": "\#(map)"}, "#
        + #""model": {"unk_id": 0, "vocab": [["<unk>", 0], ["a", -1]]}}"#
      #expect(try unigram(json).encode("a") == [1])
    }
  }

  /// One byte of a real file changed at a time: an error or another tokenizer, never a trap.
  @Test func damagedFilesEndInErrors() throws {
    let json = [UInt8](try Data(contentsOf: TestData.url("sd3-medium-tiny/tokenizer_3/tokenizer.json")))
    let vocabulary = [UInt8](#"{"a</w>": 0, "b": 1, "a": 2, "ab</w>": 3, "b</w>": 4}"#.utf8)
    let merges = [UInt8]("#version: 0.2\na b</w>\n".utf8)
    for position in json.indices where position.isMultiple(of: 17) {
      let damaged = Data(changed(json, position))
      do {
        _ = try UnigramTokenizer(json: damaged, padTokenID: 0).encode("a red </s> circle ½", length: 12)
      } catch {
        #expect(error is TokenizerError, "byte \(position): \(error)")
      }
    }
    for position in 0..<vocabulary.count + merges.count {
      let damagedMerges = changed(merges, position - vocabulary.count)
      guard let table = try? JSONDecoder().decode([String: Int].self, from: Data(changed(vocabulary, position))) else {
        continue
      }
      do {
        let text = String(decoding: damagedMerges, as: UTF8.self)
        _ = try ClipTokenizer(vocabulary: table, merges: text, bosTokenID: 0, eosTokenID: 1, padTokenID: 2)
          .encode("ab ba", length: 5)
      } catch {
        #expect(error is TokenizerError, "byte \(position): \(error)")
      }
    }
  }

  private func changed(_ bytes: [UInt8], _ position: Int) -> [UInt8] {
    guard bytes.indices.contains(position) else { return bytes }
    var copy = bytes
    copy[position] = UInt8(truncatingIfNeeded: position &* 151 &+ 43)
    return copy
  }
}
