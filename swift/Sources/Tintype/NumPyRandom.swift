import Foundation

/// A source of standard normal numbers.
public protocol NormalGenerator: Sendable {
  /// The next `count` draws, in order.
  mutating func normals(_ count: Int) -> [Double]
}

/// NumPy's legacy generator, to the bit: `numpy.random.RandomState(seed).standard_normal`.
///
/// MT19937 seeded by Knuth's recurrence (numpy/random/src/mt19937, `mt19937_seed`), 53-bit uniforms and the polar
/// method (src/legacy, `legacy_gauss`), whose second value is kept for the next draw.
public struct NumPyRandom: NormalGenerator {
  private var state: [UInt32]
  private var position: Int
  private var spare: Double?

  private static let size = 624
  private static let period = 397

  public init(seed: UInt32) {
    state = [seed]
    state.reserveCapacity(Self.size)
    for index in 1..<Self.size {
      let last = state[index - 1]
      state.append(1_812_433_253 &* (last ^ last >> 30) &+ UInt32(index))
    }
    position = Self.size
  }

  public mutating func normals(_ count: Int) -> [Double] {
    (0..<max(0, count)).map { _ in normal() }
  }

  private mutating func normal() -> Double {
    if let value = spare {
      spare = nil
      return value
    }
    while true {
      let x = 2 * uniform() - 1
      let y = 2 * uniform() - 1
      let square = x * x + y * y
      guard square < 1, square != 0 else { continue }
      let factor = (-2 * log(square) / square).squareRoot()
      spare = factor * x
      return factor * y
    }
  }

  /// In [0, 1), 53 random bits.
  private mutating func uniform() -> Double {
    let high = Double(word() >> 5)
    let low = Double(word() >> 6)
    return (high * 67_108_864 + low) / 9_007_199_254_740_992
  }

  private mutating func word() -> UInt32 {
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
