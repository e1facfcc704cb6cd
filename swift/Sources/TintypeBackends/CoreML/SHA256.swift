#if canImport(CryptoKit)
  import CryptoKit

  /// FIPS 180-4, by the processor's own instructions.
  struct SHA256 {
    private var hash = CryptoKit.SHA256()

    mutating func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }

    /// The digest's 32 bytes.
    func digest() -> [UInt8] { [UInt8](hash.finalize()) }
  }
#else
  import CSHA256

  /// FIPS 180-4, by the processor's own instructions where it has them. CryptoKit exists only on Apple's systems, and this
  /// package has no outside dependency.
  struct SHA256 {
    private var state: SIMD8<UInt32> = [
      0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    /// Less than a block.
    private var pending: [UInt8] = []
    private var length: UInt64 = 0
    private let usesInstructions: Bool

    static let hasInstructions = tintype_sha256_has_instructions()

    init(usesInstructions: Bool = hasInstructions) { self.usesInstructions = usesInstructions }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
      length += UInt64(bytes.count)
      var bytes = bytes[...]
      if !pending.isEmpty {
        let taken = bytes.prefix(64 - pending.count)
        pending.append(contentsOf: taken)
        bytes = bytes.dropFirst(taken.count)
        guard pending.count == 64 else { return }
        pending.withUnsafeBytes { compress($0[...]) }
        pending.removeAll(keepingCapacity: true)
      }
      let whole = bytes.count & ~63
      compress(bytes.prefix(whole))
      pending.append(contentsOf: bytes.dropFirst(whole))
    }

    /// The digest's 32 bytes.
    func digest() -> [UInt8] {
      var copy = self
      let bits = length << 3
      // One bit, then zeros up to 8 bytes before the end of a block.
      let zeros = (119 - Int(length % 64)) % 64
      copy.update([0x80] + [UInt8](repeating: 0, count: zeros) + bytes(of: bits))
      return (0..<8).flatMap { bytes(of: copy.state[$0]) }
    }

    private func bytes(of number: some FixedWidthInteger) -> [UInt8] {
      withUnsafeBytes(of: number.bigEndian) { [UInt8]($0) }
    }

    /// Whole blocks of 64 bytes.
    private mutating func compress(_ blocks: Slice<UnsafeRawBufferPointer>) {
      let bytes = UnsafeRawBufferPointer(rebasing: blocks)
      guard let start = bytes.baseAddress else { return }
      withUnsafeMutableBytes(of: &state) { [usesInstructions] words in
        tintype_sha256_mix(
          words.assumingMemoryBound(to: UInt32.self).baseAddress, start, bytes.count / 64, usesInstructions)
      }
    }
  }
#endif

extension SHA256 {
  mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

  mutating func update(_ text: String) { update(Array(text.utf8)) }

  /// The digest in lower-case hexadecimal.
  func hexDigest() -> String {
    digest().map { byte in
      let text = String(byte, radix: 16)
      return byte < 16 ? "0" + text : text
    }.joined()
  }
}
