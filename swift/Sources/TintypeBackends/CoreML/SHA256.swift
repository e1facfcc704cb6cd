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

    static let hasInstructions = tintype_sha256_is_available()

    init(usesInstructions: Bool = hasInstructions) { self.usesInstructions = usesInstructions }

    /// First 32 bits of the fractional parts of the cube roots of the first 64 primes.
    private static let constants: [UInt32] = [
      0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
      0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
      0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
      0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
      0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
      0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
      0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
      0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
    ]

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
      var state = self.state
      if usesInstructions {
        guard let start = bytes.baseAddress else { return }
        withUnsafeMutableBytes(of: &state) { words in
          tintype_sha256_mix(words.assumingMemoryBound(to: UInt32.self).baseAddress, start, bytes.count / 64)
        }
        self.state = state
        return
      }
      withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 64) { words in
        Self.constants.withUnsafeBufferPointer { constants in
          for start in stride(from: 0, to: bytes.count, by: 64) {
            for index in 0..<16 {
              words[index] = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: start + 4 * index, as: UInt32.self))
            }
            for index in 16..<64 {
              let (early, late) = (words[index - 15], words[index - 2])
              let first = Self.rotate(early, 7) ^ Self.rotate(early, 18) ^ (early >> 3)
              let second = Self.rotate(late, 17) ^ Self.rotate(late, 19) ^ (late >> 10)
              words[index] = words[index - 16] &+ first &+ words[index - 7] &+ second
            }
            state = Self.mixed(state, words, constants)
          }
        }
      }
      self.state = state
    }

    @inline(__always)
    private static func mixed(
      _ state: SIMD8<UInt32>, _ words: UnsafeMutableBufferPointer<UInt32>, _ constants: UnsafeBufferPointer<UInt32>
    ) -> SIMD8<UInt32> {
      var (a, b, c, d) = (state[0], state[1], state[2], state[3])
      var (e, f, g, h) = (state[4], state[5], state[6], state[7])
      // After eight rounds every word is in its own place again, so none is moved.
      for index in stride(from: 0, to: 64, by: 8) {
        round(a, b, c, &d, e, f, g, &h, constants[index] &+ words[index])
        round(h, a, b, &c, d, e, f, &g, constants[index + 1] &+ words[index + 1])
        round(g, h, a, &b, c, d, e, &f, constants[index + 2] &+ words[index + 2])
        round(f, g, h, &a, b, c, d, &e, constants[index + 3] &+ words[index + 3])
        round(e, f, g, &h, a, b, c, &d, constants[index + 4] &+ words[index + 4])
        round(d, e, f, &g, h, a, b, &c, constants[index + 5] &+ words[index + 5])
        round(c, d, e, &f, g, h, a, &b, constants[index + 6] &+ words[index + 6])
        round(b, c, d, &e, f, g, h, &a, constants[index + 7] &+ words[index + 7])
      }
      return state &+ SIMD8(a, b, c, d, e, f, g, h)
    }

    @inline(__always)
    private static func round(
      _ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: inout UInt32, _ e: UInt32, _ f: UInt32, _ g: UInt32,
      _ h: inout UInt32, _ word: UInt32
    ) {
      let upper = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
      let lower = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
      let first = h &+ upper &+ (g ^ (e & (f ^ g))) &+ word
      d = d &+ first
      h = first &+ lower &+ ((a & b) | (c & (a | b)))
    }

    @inline(__always)
    private static func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 {
      word &>> count | word &<< (32 &- count)
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
