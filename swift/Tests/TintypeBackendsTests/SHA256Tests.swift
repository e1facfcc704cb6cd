import Testing

@testable import TintypeBackends

@Suite struct SHA256Tests {
  /// FIPS 180-4's examples, and lengths around the ends of blocks (checked with coreutils' sha256sum).
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    (String(repeating: "a", count: 55), "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"),
    (String(repeating: "a", count: 64), "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"),
    (String(repeating: "a", count: 1000), "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3"),
  ])
  func digests(_ text: String, _ expected: String) {
    var digest = SHA256()
    digest.update(text)
    #expect(digest.hexDigest() == expected)
    #if !canImport(CryptoKit)
      var plain = SHA256(usesInstructions: false)
      plain.update(text)
      #expect(plain.hexDigest() == expected)
    #endif
  }

  @Test func piecesMakeNoDifference() {
    var whole = SHA256()
    var pieces = SHA256()
    whole.update(String(repeating: "xyz", count: 100))
    for _ in 0..<100 { pieces.update("xyz") }
    #expect(whole.hexDigest() == pieces.hexDigest())
  }

  #if !canImport(CryptoKit)
    @Test func theProcessorsInstructionsGiveTheSame() {
      // Pieces that begin and end within blocks and at odd addresses.
      let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 3) }
      var (plain, fast) = (SHA256(usesInstructions: false), SHA256())
      for (start, end) in [(0, 1), (1, 64), (64, 4099), (4099, 4099), (4099, 100_000)] {
        plain.update(Array(bytes[start..<end]))
        bytes.withUnsafeBytes { fast.update(UnsafeRawBufferPointer(rebasing: $0[start..<end])) }
        #expect(plain.hexDigest() == fast.hexDigest())
      }
    }
  #endif
}
