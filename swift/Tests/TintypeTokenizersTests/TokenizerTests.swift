import Testing
import TintypeTokenizers

private struct Characters: Tokenizer {
  func encode(_ text: String) throws -> [Int32] { text.unicodeScalars.map { Int32($0.value) } }
}

@Test func aTokenizerGivesIds() throws {
  #expect(try Characters().encode("ab") == [97, 98])
}
