import Foundation

/// PyTorch's CPU generator, to the bit: `torch.randn(count, generator: torch.Generator().manual_seed(seed))`, float32.
///
/// 16 values or more: 24-bit uniforms, turned into normals in blocks of 16 (aten/src/ATen/native/cpu, `normal_fill`,
/// with the arithmetic of its AVX2 kernel, which x86-64 machines run); what is left over at the end is drawn anew
/// together with the values before it. Fewer values: one at a time in float64, and every second one is kept for later.
public struct TorchRandom: NormalGenerator {
  private var twister: MersenneTwister
  private var spare: Double?

  private static let block = 16

  /// From PyTorch's seed.
  public init(seed: UInt32) { twister = MersenneTwister(seed: seed) }

  /// The next numbers of mean 0 and variance 1, as one call of `randn` draws them.
  public mutating func normals(_ count: Int) -> [Double] {
    guard count >= Self.block else { return (0..<max(0, count)).map { _ in Double(Float(normal())) } }
    var values = (0..<count).map { _ in uniform() }
    for start in stride(from: 0, through: count - Self.block, by: Self.block) { Self.transform(&values, start) }
    if !count.isMultiple(of: Self.block) {
      for index in count - Self.block..<count { values[index] = uniform() }
      Self.transform(&values, count - Self.block)
    }
    return values.map(Double.init)
  }

  /// Box and Muller: the first eight uniforms give radii, the last eight angles.
  private static func transform(_ values: inout [Float], _ start: Int) {
    let half = block / 2
    for first in start..<start + half {
      let radius = (-2 * CephesMath.log(1 - values[first])).squareRoot()
      let (sine, cosine) = CephesMath.sinCos(Float(2 * Double.pi) * values[first + half])
      values[first] = radius * cosine
      values[first + half] = radius * sine
    }
  }

  /// In [0, 1), 24 random bits.
  private mutating func uniform() -> Float { Float(twister.word() & 0xff_ffff) * 0x1p-24 }

  private mutating func normal() -> Double {
    if let value = spare {
      spare = nil
      return value
    }
    let angle = 2 * Double.pi * longUniform()
    let radius = (-2 * log1p(-longUniform())).squareRoot()
    spare = radius * sin(angle)
    return radius * cos(angle)
  }

  /// In [0, 1), 53 random bits.
  private mutating func longUniform() -> Double {
    let high = UInt64(twister.word())
    let bits = high << 32 | UInt64(twister.word())
    return Double(bits & 0x1f_ffff_ffff_ffff) * 0x1p-53
  }
}

/// Single-precision logarithm, sine and cosine by the polynomials of Cephes, evaluated as PyTorch's AVX2 build does
/// (aten/src/ATen/native/cpu/avx_mathfun.h, products fused into sums): `libm` differs in the last bit.
enum CephesMath {
  /// The natural logarithm of a positive, normal number.
  static func log(_ value: Float) -> Float {
    var exponent = Float(Int(value.exponent) + 1)
    var x = value.significand / 2
    if x < 0.707_106_781_186_547_524 {
      exponent -= 1
      x = x - 1 + x
    } else {
      x -= 1
    }
    let square = x * x
    let sum = polynomial(
      [
        7.037_683_629_2e-2, -1.151_461_031_0e-1, 1.167_699_874_0e-1, -1.242_014_084_6e-1, 1.424_932_278_7e-1,
        -1.666_805_766_5e-1, 2.000_071_476_5e-1, -2.499_999_399_3e-1, 3.333_333_117_4e-1,
      ], x)
    let tail = (exponent * -2.121_944_40e-4).addingProduct(sum * x, square)
    return x + (tail - square * 0.5) + exponent * 0.693_359_375
  }

  /// Sine and cosine of an angle in 0…2π.
  static func sinCos(_ angle: Float) -> (sine: Float, cosine: Float) {
    let octant = (Int(angle * 1.273_239_544_735_16) + 1) & ~1
    let turns = Float(octant)
    // π/4 in three parts, so that the difference keeps its bits.
    let x = angle.addingProduct(turns, -0.785_156_25).addingProduct(turns, -2.418_756_484_985_351_562_5e-4)
      .addingProduct(turns, -3.774_894_977_445_941_08e-8)
    let square = x * x
    let even =
      (-square * 0.5).addingProduct(
        polynomial([2.443_315_711_809_948e-5, -1.388_731_625_493_765e-3, 4.166_664_568_298_827e-2], square) * square,
        square) + 1
    let odd = x.addingProduct(
      polynomial([-1.951_529_589_1e-4, 8.332_160_873_6e-3, -1.666_665_461_1e-1], square) * square, x)
    let isStraight = octant & 2 == 0
    let (sine, cosine) = isStraight ? (odd, even) : (even, odd)
    return (octant & 4 == 0 ? sine : -sine, (octant - 2) & 4 == 0 ? -cosine : cosine)
  }

  private static func polynomial(_ factors: [Float], _ x: Float) -> Float {
    factors.dropFirst().reduce(factors[0]) { $1.addingProduct($0, x) }
  }
}
