/// CRC-32 (ISO 3309), as PNG chunks carry it.
struct CRC32 {
  private static let table: [UInt32] = (0..<256 as Range<UInt32>).map { byte in
    (0..<8).reduce(byte) { value, _ in value & 1 == 0 ? value >> 1 : value >> 1 ^ 0xedb8_8320 }
  }

  private var state = UInt32.max

  mutating func update(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { state = Self.table[Int(UInt8(truncatingIfNeeded: state) ^ byte)] ^ state >> 8 }
  }

  var value: UInt32 { state ^ .max }

  static func of(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var sum = CRC32()
    sum.update(bytes)
    return sum.value
  }
}

/// Adler-32, which closes a zlib stream.
func adler32(_ bytes: [UInt8]) -> UInt32 {
  // 5552 is the longest run for which the sums fit 32 bits (RFC 1950's reference code).
  var (a, b): (UInt32, UInt32) = (1, 0)
  var start = 0
  while start < bytes.count {
    let end = min(start + 5552, bytes.count)
    for byte in bytes[start..<end] {
      a += UInt32(byte)
      b += a
    }
    (a, b) = (a % 65521, b % 65521)
    start = end
  }
  return b << 16 | a
}
