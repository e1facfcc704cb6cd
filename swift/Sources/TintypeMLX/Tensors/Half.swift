/// float16 ↔ float32 by bit operations. Swift's own conversion calls a library function an element on x86-64, and
/// its `Float16` does not exist on Intel Macs; these loops have no branches, so the compiler vectorises them.
enum Half {
  /// The float32 with the value of a float16's bits; exact for every value, NaN payloads included.
  @inline(__always)
  static func float(_ half: UInt16) -> Float {
    let sign = UInt32(half & 0x8000) << 16
    let magnitude = UInt32(half & 0x7fff) << 13
    // 2^112 moves the exponent's bias from 15 to 127 and normalises subnormals on the way.
    let scaled = (Float(bitPattern: magnitude) * Float(bitPattern: 0x7780_0000)).bitPattern
    let special = magnitude >= 0x0f80_0000 ? magnitude | 0x7f80_0000 : scaled
    return Float(bitPattern: special | sign)
  }

  /// The nearest float16, ties to even; too large becomes infinity, NaN stays NaN.
  @inline(__always)
  static func bits(_ value: Float) -> UInt16 {
    let pattern = value.bitPattern
    let sign = UInt16(truncatingIfNeeded: (pattern & 0x8000_0000) >> 16)
    let magnitude = pattern & 0x7fff_ffff
    // Subnormal results: adding 0.5 puts the last kept bit at the float's last place, so the adder rounds.
    let small = UInt16(truncatingIfNeeded: (Float(bitPattern: magnitude) + 0.5).bitPattern &- 0x3f00_0000)
    let odd = (magnitude >> 13) & 1
    let normal = UInt16(truncatingIfNeeded: (magnitude &- 0x3800_0000 &+ 0xfff &+ odd) >> 13)
    let special: UInt16 = magnitude > 0x7f80_0000 ? 0x7e00 : 0x7c00
    let finite = magnitude < 0x3880_0000 ? small : normal
    return (magnitude >= 0x4780_0000 ? special : finite) | sign
  }
}
