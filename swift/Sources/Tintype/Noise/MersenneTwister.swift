/// MT19937, the 32-bit Mersenne Twister of Matsumoto and Nishimura, seeded by Knuth's recurrence: the source of bits of
/// both NumPy's legacy generator and PyTorch's CPU generator.
struct MersenneTwister: Sendable {
  private var state: [UInt32]
  private var position: Int

  private static let size = 624
  private static let period = 397

  init(seed: UInt32) {
    state = [seed]
    state.reserveCapacity(Self.size)
    for index in 1..<Self.size {
      let last = state[index - 1]
      state.append(1_812_433_253 &* (last ^ last >> 30) &+ UInt32(index))
    }
    position = Self.size
  }

  mutating func word() -> UInt32 {
    if position == Self.size { twist() }
    var y = state[position]
    position += 1
    y ^= y >> 11
    y ^= y << 7 & 0x9d2c_5680
    y ^= y << 15 & 0xefc6_0000
    y ^= y >> 18
    return y
  }

  private mutating func twist() {
    for index in 0..<Self.size {
      let bits = state[index] & 0x8000_0000 | state[(index + 1) % Self.size] & 0x7fff_ffff
      let mixed = bits >> 1 ^ (bits & 1 == 0 ? 0 : 0x9908_b0df)
      state[index] = state[(index + Self.period) % Self.size] ^ mixed
    }
    position = 0
  }
}
