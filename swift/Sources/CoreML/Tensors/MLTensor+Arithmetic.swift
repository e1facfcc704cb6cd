import TintypeMLX

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

extension MLTensor {
  /// The type that two operands meet in: floats before integers, the wider before the narrower.
  static func wider(_ left: ElementType, _ right: ElementType) -> ElementType {
    func order(_ type: ElementType) -> Int {
      switch type {
      case .bool: 0
      case .uint8, .int8: 1
      case .uint16, .int16: 2
      case .uint32: 3
      case .int32: 4
      case .int64: 5
      case .float16: 6
      case .float32: 7
      case .float64: 8
      }
    }
    return order(left) >= order(right) ? left : right
  }

  /// The shape that two shapes meet in.
  static func broadcast(_ left: [Int], _ right: [Int]) -> [Int] {
    let rank = Swift.max(left.count, right.count)
    func padded(_ shape: [Int]) -> [Int] { [Int](repeating: 1, count: rank - shape.count) + shape }
    return zip(padded(left), padded(right)).map { one, other in
      precondition(one == other || one == 1 || other == 1, "shapes \(left) and \(right) do not fit each other")
      return one == 1 ? other : one
    }
  }

  /// - Parameter result: the type of the result; nil: the operands'.
  private static func joined(
    _ left: MLTensor, _ right: MLTensor, _ result: ElementType? = nil, _ operation: (Double, Double) -> Double
  ) -> MLTensor {
    // A number without axes takes the tensor's type, unless it would lose its fraction.
    let types = (left.tensor.elementType, right.tensor.elementType)
    let type: ElementType =
      switch (left.isScalar, right.isScalar) {
      case (true, false) where types.1.isFloatingPoint || !types.0.isFloatingPoint: types.1
      case (false, true) where types.0.isFloatingPoint || !types.1.isFloatingPoint: types.0
      default: wider(types.0, types.1)
      }
    let shape = broadcast(left.shape, right.shape)
    let (a, b) = (left.cast(to: type).broadcast(to: shape).values, right.cast(to: type).broadcast(to: shape).values)
    return MLTensor(values: zip(a, b).map(operation), shape: shape, result ?? type)
  }

  private func mapped(_ operation: (Double) -> Double) -> MLTensor {
    MLTensor(values: values.map(operation), shape: shape, tensor.elementType)
  }

  private var isInteger: Bool { !tensor.elementType.isFloatingPoint }

  public static func + (left: MLTensor, right: MLTensor) -> MLTensor { joined(left, right) { $0 + $1 } }
  public static func - (left: MLTensor, right: MLTensor) -> MLTensor { joined(left, right) { $0 - $1 } }
  public static func * (left: MLTensor, right: MLTensor) -> MLTensor { joined(left, right) { $0 * $1 } }
  /// Integers are divided without the rest.
  public static func / (left: MLTensor, right: MLTensor) -> MLTensor {
    let truncates = left.isInteger && right.isInteger
    return joined(left, right) { truncates ? ($0 / $1).rounded(.towardZero) : $0 / $1 }
  }
  /// The rest has the dividend's sign.
  public static func % (left: MLTensor, right: MLTensor) -> MLTensor {
    joined(left, right) { $0.truncatingRemainder(dividingBy: $1) }
  }
  public static prefix func - (tensor: MLTensor) -> MLTensor { tensor.mapped { -$0 } }

  public static func += (left: inout MLTensor, right: MLTensor) { left = left + right }
  public static func -= (left: inout MLTensor, right: MLTensor) { left = left - right }
  public static func *= (left: inout MLTensor, right: MLTensor) { left = left * right }
  public static func /= (left: inout MLTensor, right: MLTensor) { left = left / right }

  public static func + (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left + MLTensor(right) }
  public static func + (left: some MLTensorScalar & Numeric, right: MLTensor) -> MLTensor { MLTensor(left) + right }
  public static func - (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left - MLTensor(right) }
  public static func - (left: some MLTensorScalar & Numeric, right: MLTensor) -> MLTensor { MLTensor(left) - right }
  public static func * (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left * MLTensor(right) }
  public static func * (left: some MLTensorScalar & Numeric, right: MLTensor) -> MLTensor { MLTensor(left) * right }
  public static func / (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left / MLTensor(right) }
  public static func / (left: some MLTensorScalar & Numeric, right: MLTensor) -> MLTensor { MLTensor(left) / right }
  public static func % (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left % MLTensor(right) }

  // Comparisons give truth values.

  public static func .== (left: MLTensor, right: MLTensor) -> MLTensor {
    joined(left, right, .bool) { $0 == $1 ? 1 : 0 }
  }
  public static func .!= (left: MLTensor, right: MLTensor) -> MLTensor {
    joined(left, right, .bool) { $0 != $1 ? 1 : 0 }
  }
  public static func .< (left: MLTensor, right: MLTensor) -> MLTensor { joined(left, right, .bool) { $0 < $1 ? 1 : 0 } }
  public static func .<= (left: MLTensor, right: MLTensor) -> MLTensor {
    joined(left, right, .bool) { $0 <= $1 ? 1 : 0 }
  }
  public static func .> (left: MLTensor, right: MLTensor) -> MLTensor { joined(left, right, .bool) { $0 > $1 ? 1 : 0 } }
  public static func .>= (left: MLTensor, right: MLTensor) -> MLTensor {
    joined(left, right, .bool) { $0 >= $1 ? 1 : 0 }
  }
  public static func .== (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left .== MLTensor(right) }
  public static func .!= (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left .!= MLTensor(right) }
  public static func .< (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left .< MLTensor(right) }
  public static func .<= (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left .<= MLTensor(right) }
  public static func .> (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left .> MLTensor(right) }
  public static func .>= (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left .>= MLTensor(right) }

  public static func .& (left: MLTensor, right: MLTensor) -> MLTensor {
    joined(left, right, .bool) { $0 != 0 && $1 != 0 ? 1 : 0 }
  }
  public static func .| (left: MLTensor, right: MLTensor) -> MLTensor {
    joined(left, right, .bool) { $0 != 0 || $1 != 0 ? 1 : 0 }
  }
  public static func .^ (left: MLTensor, right: MLTensor) -> MLTensor {
    joined(left, right, .bool) { ($0 != 0) != ($1 != 0) ? 1 : 0 }
  }
  public static prefix func .! (tensor: MLTensor) -> MLTensor { tensor.cast(to: Bool.self).mapped { 1 - $0 } }

  /// The scalars without their signs.
  public func abs() -> MLTensor { mapped { $0.magnitude } }
  /// -1, 0 or 1.
  public func sign() -> MLTensor { mapped { $0 > 0 ? 1 : $0 < 0 ? -1 : $0 } }
  /// x·x
  public func squared() -> MLTensor { mapped { $0 * $0 } }
  /// √x
  public func squareRoot() -> MLTensor { mapped { $0.squareRoot() } }
  /// 1 / √x
  public func rsqrt() -> MLTensor { mapped { 1 / $0.squareRoot() } }
  /// 1 / x
  public func reciprocal() -> MLTensor { mapped { 1 / $0 } }
  /// The next integer below.
  public func floor() -> MLTensor { mapped { $0.rounded(.down) } }
  /// The next integer above.
  public func ceil() -> MLTensor { mapped { $0.rounded(.up) } }
  /// Halves go to the even neighbour.
  public func round() -> MLTensor { mapped { $0.rounded(.toNearestOrEven) } }
  /// eˣ
  public func exp() -> MLTensor { mapped { raised($0) } }
  /// 2ˣ
  public func exp2() -> MLTensor { mapped { raisedTwo($0) } }
  /// The natural logarithm.
  public func log() -> MLTensor { mapped { logarithm($0) } }
  /// The sine of an angle in radians.
  public func sin() -> MLTensor { mapped { sine($0) } }
  /// The cosine of an angle in radians.
  public func cos() -> MLTensor { mapped { cosine($0) } }
  /// The hyperbolic tangent.
  public func tanh() -> MLTensor { mapped { hyperbolicTangent($0) } }
  /// x to the power of the exponent.
  public func pow(_ exponent: MLTensor) -> MLTensor { Self.joined(self, exponent) { power($0, $1) } }
  /// x to the power of the exponent.
  public func pow(_ exponent: some MLTensorScalar & Numeric) -> MLTensor { pow(MLTensor(exponent)) }
  /// Within both bounds.
  public func clamped(to bounds: ClosedRange<Float>) -> MLTensor {
    mapped { Swift.min(Swift.max($0, Double(bounds.lowerBound)), Double(bounds.upperBound)) }
  }
  /// At least the bound.
  public func clamped(to bounds: PartialRangeFrom<Float>) -> MLTensor {
    mapped { Swift.max($0, Double(bounds.lowerBound)) }
  }
  /// At most the bound.
  public func clamped(to bounds: PartialRangeThrough<Float>) -> MLTensor {
    mapped { Swift.min($0, Double(bounds.upperBound)) }
  }

  /// The replacement's scalars where the mask is true, these elsewhere.
  public func replacing(with replacement: MLTensor, where mask: MLTensor) -> MLTensor {
    let shape = Self.broadcast(Self.broadcast(self.shape, replacement.shape), mask.shape)
    let (own, other) = (broadcast(to: shape).values, replacement.cast(like: self).broadcast(to: shape).values)
    let chosen = mask.broadcast(to: shape).values
    return MLTensor(
      values: own.indices.map { chosen[$0] != 0 ? other[$0] : own[$0] }, shape: shape, tensor.elementType)
  }

  /// One scalar where the mask is true, these elsewhere.
  public func replacing(with replacement: some MLTensorScalar, where mask: MLTensor) -> MLTensor {
    replacing(with: MLTensor(replacement), where: mask)
  }
}

// Within MLTensor its methods hide the functions of the C library.
func raised(_ value: Double) -> Double { exp(value) }
private func raisedTwo(_ value: Double) -> Double { exp2(value) }
private func logarithm(_ value: Double) -> Double { log(value) }
private func sine(_ value: Double) -> Double { sin(value) }
private func cosine(_ value: Double) -> Double { cos(value) }
private func hyperbolicTangent(_ value: Double) -> Double { tanh(value) }
private func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
