import Testing
import TintypeTokenizers

private struct Characters: TextTokenizer {
  let padTokenID: Int32 = 0
  let specialTokens: (before: [Int32], after: [Int32]) = ([1], [2])

  func contentIDs(_ text: String) -> [Int32] { text.unicodeScalars.map { Int32($0.value) } }
}

@Suite struct TokenizerTests {
  @Test func specialTokensStandAround() {
    #expect(Characters().encode("ab") == [1, 97, 98, 2])
  }

  @Test func shortTextIsPadded() {
    #expect(Characters().encode("ab", length: 6) == TokenizedText(ids: [1, 97, 98, 2, 0, 0], used: 4, dropped: 0))
  }

  @Test func longTextIsCutAndKeepsItsEnd() {
    #expect(Characters().encode("abcdef", length: 4) == TokenizedText(ids: [1, 97, 98, 2], used: 4, dropped: 4))
  }

  @Test func aLengthWithoutRoomStillHasThatLength() {
    #expect(Characters().encode("ab", length: 1).ids == [1])
    #expect(Characters().encode("ab", length: 0).ids == [])
    #expect(Characters().encode("ab", length: -3).ids == [])
  }
}
