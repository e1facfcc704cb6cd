import Foundation

/// SentencePiece's precompiled character map: a double-array trie (darts-clone) from UTF-8 to replacements.
///
/// Bytes, little endian:
///
///     0 ..< 4          UInt32  n, the trie's size in bytes
///     4 ..< 4 + n      UInt32… the trie's units
///     4 + n ..< end    the replacements, UTF-8, each closed by a zero byte
///
/// A unit: bits 0–7 label (bit 31 set: never a label), bit 8 "a key ends here", bit 9 offset is shifted by 8,
/// bits 10–30 offset to the children; in a leaf bits 0–30 are the replacement's position.
struct PrecompiledMap: Sendable {
  private let units: [UInt32]
  private let replacements: [UInt8]

  /// Longer clusters are looked up character by character (spm_precompiled).
  private static let longestCluster = 5

  /// Nil where the bytes contradict the layout.
  init?(base64: String) {
    guard let data = Data(base64Encoded: base64).map({ [UInt8]($0) }), data.count >= 4 else { return nil }
    func unit(_ at: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(data[at + $1]) << UInt32(8 * $1) }
    }
    let size = Int(unit(0))
    guard size > 0, size.isMultiple(of: 4), size <= data.count - 4 else { return nil }
    units = stride(from: 4, to: 4 + size, by: 4).map(unit)
    replacements = Array(data[(4 + size)...])
  }

  /// Cluster by cluster; a cluster that the map does not know, or a long one, is looked up scalar by scalar.
  func normalise(_ text: String) -> String {
    var result: [UInt8] = []
    result.reserveCapacity(text.utf8.count)
    for cluster in text {
      let bytes = Array(cluster.utf8)
      if bytes.count <= Self.longestCluster, let replacement = replacement(for: bytes[...]) {
        result += replacement
        continue
      }
      for scalar in cluster.unicodeScalars {
        let bytes = Array(String(scalar).utf8)
        result += replacement(for: bytes[...]) ?? bytes[...]
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  /// The replacement of the shortest key that begins the bytes. That a longer cluster is replaced as a whole by the
  /// match of its first character is how the original behaves.
  private func replacement(for bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    guard let root = units.first else { return nil }
    var node = Self.offset(root)
    for byte in bytes where byte != 0 {
      node ^= Int(byte)
      guard node < units.count else { return nil }
      let unit = units[node]
      guard unit & (1 << 31 | 0xFF) == UInt32(byte) else { return nil }
      node ^= Self.offset(unit)
      guard unit >> 8 & 1 == 1 else { continue }
      guard node < units.count else { return nil }
      let start = Int(units[node] & ~(1 << 31))
      guard start <= replacements.count else { return nil }
      return replacements[start...].prefix { $0 != 0 }
    }
    return nil
  }

  private static func offset(_ unit: UInt32) -> Int {
    Int((unit >> 10) << ((unit & (1 << 9)) >> 6))
  }
}
