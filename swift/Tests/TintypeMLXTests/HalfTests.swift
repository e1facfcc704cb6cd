import Testing

@testable import TintypeMLX

@Suite struct HalfTests {
  /// Every float16 there is, against the standard library.
  @Test func readsEveryValue() {
    for bits in UInt16.min...UInt16.max {
      let (value, expected) = (Half.float(bits), Float(Float16(bitPattern: bits)))
      if expected.isNaN {
        #expect(value.isNaN)
      } else if value.bitPattern != expected.bitPattern {
        Issue.record("float16 0x\(String(bits, radix: 16)) reads as \(value), expected \(expected)")
      }
    }
  }

  /// Every float16 value, and the halfway points on both sides of it with their neighbours: the ties.
  @Test func roundsAsTheHardwareDoes() {
    for bits in UInt16(0)..<0x7c00 {
      let value = Float(Float16(bitPattern: bits))
      let next = bits == 0x7bff ? 65536 : Float(Float16(bitPattern: bits + 1))
      let halfway = value + (next - value) / 2
      for candidate in [value, halfway, halfway.nextUp, halfway.nextDown, -value, -halfway] {
        let (rounded, expected) = (Half.bits(candidate), Float16(candidate).bitPattern)
        if rounded != expected { Issue.record("\(candidate) rounds to \(rounded), expected \(expected)") }
      }
    }
  }

  @Test(arguments: [
    (Float.infinity, UInt16(0x7c00)), (-.infinity, 0xfc00), (65504, 0x7bff), (65519.996, 0x7bff), (65520, 0x7c00),
    (1e30, 0x7c00), (-1e30, 0xfc00), (0, 0), (-0.0, 0x8000), (1e-30, 0), (.leastNonzeroMagnitude, 0),
  ])
  func rounds(_ value: Float, _ bits: UInt16) {
    #expect(Half.bits(value) == bits)
  }

  @Test func keepsNotANumber() {
    #expect(Half.float(Half.bits(.nan)).isNaN)
    #expect(Half.float(Half.bits(-.signalingNaN)).isNaN)
  }
}
