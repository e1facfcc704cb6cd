#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The published SplitMix64: a seed gives the same numbers on every machine.
private struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var bits = state
    bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
    bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
    return bits ^ (bits >> 31)
  }
}

/// Numbers that follow a distribution.
private struct RandomSource {
  private var generator: any RandomNumberGenerator

  /// Without a seed, the system's generator draws.
  init(seed: UInt64?) {
    generator = seed.map { SplitMix64(seed: $0) as any RandomNumberGenerator } ?? SystemRandomNumberGenerator()
  }

  /// A multiple of 2⁻⁵³ in 0..<1.
  mutating func share() -> Double { Double(generator.next() >> 11) * 0x1p-53 }

  mutating func integer(in bounds: ClosedRange<Int64>) -> Int64 {
    func draw(_ generator: inout some RandomNumberGenerator) -> Int64 { Int64.random(in: bounds, using: &generator) }
    return draw(&generator)
  }

  /// Two independent numbers of the standard normal distribution, by Box and Muller.
  mutating func normals() -> (Double, Double) {
    let radius = (-2 * log(1 - share())).squareRoot()
    let angle = 2 * Double.pi * share()
    return (radius * cos(angle), radius * sin(angle))
  }
}

extension MLTensor {
  /// Numbers of a normal distribution. A seed gives the same numbers every time; Apple's gives others for it.
  public init<Scalar: MLTensorScalar & BinaryFloatingPoint>(
    randomNormal shape: [Int], mean: Scalar = Scalar(0.0), standardDeviation: Scalar = Scalar(1.0), seed: UInt64? = nil,
    scalarType: Scalar.Type = Scalar.self
  ) {
    let count = ShapedBuffer<Float>.count(of: shape)
    var source = RandomSource(seed: seed)
    var scalars: [Scalar] = []
    scalars.reserveCapacity(count + 1)
    while scalars.count < count {
      let (one, other) = source.normals()
      scalars.append(Scalar(Double(mean) + Double(standardDeviation) * one))
      scalars.append(Scalar(Double(mean) + Double(standardDeviation) * other))
    }
    self.init(shape: shape, scalars: scalars.prefix(count), scalarType: Scalar.self)
  }

  /// Numbers spread evenly over the bounds, which must be finite and not empty. A seed gives the same numbers every
  /// time; Apple's gives others for it.
  public init<Scalar: MLTensorScalar & BinaryFloatingPoint>(
    randomUniform shape: [Int], in bounds: Range<Scalar> = 0..<1, seed: UInt64? = nil,
    scalarType: Scalar.Type = Scalar.self
  ) {
    let (lower, upper) = (Double(bounds.lowerBound), Double(bounds.upperBound))
    precondition(!bounds.isEmpty && (upper - lower).isFinite, "no numbers can be drawn from \(bounds)")
    var source = RandomSource(seed: seed)
    func draw() -> Scalar {
      while true {
        // The scalar type may round up to the bound that is not included.
        let scalar = Scalar(lower + (upper - lower) * source.share())
        if scalar < bounds.upperBound { return Swift.max(scalar, bounds.lowerBound) }
      }
    }
    let scalars = (0..<ShapedBuffer<Float>.count(of: shape)).map { _ in draw() }
    self.init(shape: shape, scalars: scalars, scalarType: Scalar.self)
  }

  /// Integers spread evenly over the bounds, both of which are included. A seed gives the same numbers every time;
  /// Apple's gives others for it.
  public init<Scalar: MLTensorScalar & BinaryInteger>(
    randomUniform shape: [Int], in bounds: ClosedRange<Scalar> = 0...1, seed: UInt64? = nil,
    scalarType: Scalar.Type = Scalar.self
  ) {
    var source = RandomSource(seed: seed)
    let wide = Int64(bounds.lowerBound)...Int64(bounds.upperBound)
    let scalars = (0..<ShapedBuffer<Float>.count(of: shape)).map { _ in Scalar(source.integer(in: wide)) }
    self.init(shape: shape, scalars: scalars, scalarType: Scalar.self)
  }
}
