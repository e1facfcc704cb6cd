import Foundation

/// NumPy's legacy generator, to the bit: `numpy.random.RandomState(seed).standard_normal`.
///
/// MT19937 (numpy/random/src/mt19937), 53-bit uniforms and the polar method (src/legacy, `legacy_gauss`), whose second
/// value is kept for the next draw.
public struct NumPyRandom: NormalGenerator {
  private var twister: MersenneTwister
  private var spare: Double?

  /// From NumPy's seed.
  public init(seed: UInt32) { twister = MersenneTwister(seed: seed) }

  /// The next numbers of mean 0 and variance 1.
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
    let high = Double(twister.word() >> 5)
    let low = Double(twister.word() >> 6)
    return (high * 67_108_864 + low) / 9_007_199_254_740_992
  }
}
