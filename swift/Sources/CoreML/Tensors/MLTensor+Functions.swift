#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

extension MLTensor {
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
  public func exp() -> MLTensor { mapped(expOf) }
  /// 2ˣ
  public func exp2() -> MLTensor { mapped(exp2Of) }
  /// The natural logarithm.
  public func log() -> MLTensor { mapped(logOf) }
  /// The sine of an angle in radians.
  public func sin() -> MLTensor { mapped(sinOf) }
  /// The cosine of an angle in radians.
  public func cos() -> MLTensor { mapped(cosOf) }
  /// The tangent of an angle in radians.
  public func tan() -> MLTensor { mapped(tanOf) }
  /// The angle in radians that has this sine.
  public func asin() -> MLTensor { mapped(asinOf) }
  /// The angle in radians that has this cosine.
  public func acos() -> MLTensor { mapped(acosOf) }
  /// The angle in radians that has this tangent.
  public func atan() -> MLTensor { mapped(atanOf) }
  /// The hyperbolic sine.
  public func sinh() -> MLTensor { mapped(sinhOf) }
  /// The hyperbolic cosine.
  public func cosh() -> MLTensor { mapped(coshOf) }
  /// The hyperbolic tangent.
  public func tanh() -> MLTensor { mapped(tanhOf) }
  /// What has this hyperbolic sine.
  public func asinh() -> MLTensor { mapped(asinhOf) }
  /// What has this hyperbolic cosine, not negative.
  public func acosh() -> MLTensor { mapped(acoshOf) }
  /// What has this hyperbolic tangent.
  public func atanh() -> MLTensor { mapped(atanhOf) }
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
}

// Within MLTensor its methods hide the functions of the C library.
func expOf(_ value: Double) -> Double { exp(value) }
private func exp2Of(_ value: Double) -> Double { exp2(value) }
private func logOf(_ value: Double) -> Double { log(value) }
private func sinOf(_ value: Double) -> Double { sin(value) }
private func cosOf(_ value: Double) -> Double { cos(value) }
private func tanOf(_ value: Double) -> Double { tan(value) }
private func asinOf(_ value: Double) -> Double { asin(value) }
private func acosOf(_ value: Double) -> Double { acos(value) }
private func atanOf(_ value: Double) -> Double { atan(value) }
private func sinhOf(_ value: Double) -> Double { sinh(value) }
private func coshOf(_ value: Double) -> Double { cosh(value) }
private func tanhOf(_ value: Double) -> Double { tanh(value) }
private func asinhOf(_ value: Double) -> Double { asinh(value) }
private func acoshOf(_ value: Double) -> Double { acosh(value) }
private func atanhOf(_ value: Double) -> Double { atanh(value) }
private func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
