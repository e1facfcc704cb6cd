import CTintype
import TestSupport
import Testing

@testable import TintypeRuntime

/// Repeatable numbers (SplitMix64).
private struct Generator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}

@Suite struct FuzzTests {
  private static let extremes: [Int64] = [.min, -1 << 62, -3, -1, 0, 1, 2, 3, 6, 4096, 1 << 31, 1 << 40, 1 << 62, .max]

  /// Descriptors that no caller should make: each is answered, none ends the process. One shape in fifteen is right,
  /// and then the strides are small enough to stay inside of the memory that is there.
  @Test func nonsenseIsAnswered() throws {
    let model = try Runtime.Model(fixture: "linear")
    var generator = Generator(state: 7)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 1 << 16, alignment: 64)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: 1 << 16)
    defer { memory.deallocate() }
    var accepted = 0
    for round in 0..<3000 {
      let fits = round % 15 == 0
      func pick(_ values: [Int64]) -> Int64 { values.randomElement(using: &generator) ?? 0 }
      try "x".withCString { name in
        var tensor = tt_tensor()
        tensor.name = name
        tensor.data = memory + (1 << 15) + Int(pick([0, 1, 2, 4]))
        tensor.dtype = fits ? tt_dtype(TT_FLOAT32) : Int32(truncatingIfNeeded: pick(Array(-1...13)))
        tensor.rank = fits ? 2 : Int32(truncatingIfNeeded: pick(Array(-2...10)))
        tensor.shape.0 = fits ? 2 : pick(Self.extremes)
        tensor.shape.1 = fits ? 3 : pick(Self.extremes.filter { $0 != 3 })
        tensor.shape.2 = pick(Self.extremes)
        tensor.strides.0 = fits ? pick([-7, 0, 1, 3, 9]) : pick(Self.extremes)
        tensor.strides.1 = fits ? pick([-2, 0, 1, 5]) : pick(Self.extremes)
        do {
          accepted += try model.run(&tensor).count
        } catch let failure as Runtime.Failure {
          #expect(!failure.message.isEmpty)
          if fits { throw failure }
        }
      }
    }
    #expect(accepted == 200)
  }
}
