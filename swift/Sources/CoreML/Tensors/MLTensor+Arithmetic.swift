import TintypeMLX

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
  static func joined(
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

  func mapped(_ operation: (Double) -> Double) -> MLTensor {
    MLTensor(values: values.map(operation), shape: shape, tensor.elementType)
  }

  private var isInteger: Bool { !tensor.elementType.isFloatingPoint }

  /// The sums.
  public static func + (left: MLTensor, right: MLTensor) -> MLTensor { joined(left, right) { $0 + $1 } }
  /// The differences.
  public static func - (left: MLTensor, right: MLTensor) -> MLTensor { joined(left, right) { $0 - $1 } }
  /// The products.
  public static func * (left: MLTensor, right: MLTensor) -> MLTensor { joined(left, right) { $0 * $1 } }
  /// The quotients; those of integers lose the rest.
  public static func / (left: MLTensor, right: MLTensor) -> MLTensor {
    let truncates = left.isInteger && right.isInteger
    return joined(left, right) { truncates ? ($0 / $1).rounded(.towardZero) : $0 / $1 }
  }
  /// The rests of divisions, with the dividends' signs.
  public static func % (left: MLTensor, right: MLTensor) -> MLTensor {
    joined(left, right) { $0.truncatingRemainder(dividingBy: $1) }
  }
  /// The scalars with the other sign.
  public static prefix func - (tensor: MLTensor) -> MLTensor { tensor.mapped { -$0 } }

  /// Adds.
  public static func += (left: inout MLTensor, right: MLTensor) { left = left + right }
  /// Subtracts.
  public static func -= (left: inout MLTensor, right: MLTensor) { left = left - right }
  /// Multiplies.
  public static func *= (left: inout MLTensor, right: MLTensor) { left = left * right }
  /// Divides.
  public static func /= (left: inout MLTensor, right: MLTensor) { left = left / right }
  /// Takes the rest of a division.
  public static func %= (left: inout MLTensor, right: MLTensor) { left = left % right }

  /// The sums.
  public static func + (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left + MLTensor(right) }
  /// The sums.
  public static func + (left: some MLTensorScalar & Numeric, right: MLTensor) -> MLTensor { MLTensor(left) + right }
  /// The differences.
  public static func - (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left - MLTensor(right) }
  /// The differences.
  public static func - (left: some MLTensorScalar & Numeric, right: MLTensor) -> MLTensor { MLTensor(left) - right }
  /// The products.
  public static func * (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left * MLTensor(right) }
  /// The products.
  public static func * (left: some MLTensorScalar & Numeric, right: MLTensor) -> MLTensor { MLTensor(left) * right }
  /// The quotients; those of integers lose the rest.
  public static func / (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left / MLTensor(right) }
  /// The quotients; those of integers lose the rest.
  public static func / (left: some MLTensorScalar & Numeric, right: MLTensor) -> MLTensor { MLTensor(left) / right }
  /// The rests of divisions, with the dividends' signs.
  public static func % (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left % MLTensor(right) }
  /// The rests of divisions, with the dividends' signs.
  public static func % (left: some MLTensorScalar & Numeric, right: MLTensor) -> MLTensor { MLTensor(left) % right }

  // Comparisons give truth values.

  /// Where both are equal.
  public static func .== (left: MLTensor, right: MLTensor) -> MLTensor {
    joined(left, right, .bool) { $0 == $1 ? 1 : 0 }
  }
  /// Where they are not equal.
  public static func .!= (left: MLTensor, right: MLTensor) -> MLTensor {
    joined(left, right, .bool) { $0 != $1 ? 1 : 0 }
  }
  /// Where the left one is less.
  public static func .< (left: MLTensor, right: MLTensor) -> MLTensor { joined(left, right, .bool) { $0 < $1 ? 1 : 0 } }
  /// Where the left one is less or equal.
  public static func .<= (left: MLTensor, right: MLTensor) -> MLTensor {
    joined(left, right, .bool) { $0 <= $1 ? 1 : 0 }
  }
  /// Where the left one is greater.
  public static func .> (left: MLTensor, right: MLTensor) -> MLTensor { joined(left, right, .bool) { $0 > $1 ? 1 : 0 } }
  /// Where the left one is greater or equal.
  public static func .>= (left: MLTensor, right: MLTensor) -> MLTensor {
    joined(left, right, .bool) { $0 >= $1 ? 1 : 0 }
  }
  /// Where both are equal.
  public static func .== (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left .== MLTensor(right) }
  /// Where they are not equal.
  public static func .!= (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left .!= MLTensor(right) }
  /// Where the left one is less.
  public static func .< (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left .< MLTensor(right) }
  /// Where the left one is less or equal.
  public static func .<= (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left .<= MLTensor(right) }
  /// Where the left one is greater.
  public static func .> (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left .> MLTensor(right) }
  /// Where the left one is greater or equal.
  public static func .>= (left: MLTensor, right: some MLTensorScalar & Numeric) -> MLTensor { left .>= MLTensor(right) }

  /// Where both are true.
  public static func .& (left: MLTensor, right: MLTensor) -> MLTensor {
    joined(left, right, .bool) { $0 != 0 && $1 != 0 ? 1 : 0 }
  }
  /// Where one is true, or both.
  public static func .| (left: MLTensor, right: MLTensor) -> MLTensor {
    joined(left, right, .bool) { $0 != 0 || $1 != 0 ? 1 : 0 }
  }
  /// Where one alone is true.
  public static func .^ (left: MLTensor, right: MLTensor) -> MLTensor {
    joined(left, right, .bool) { ($0 != 0) != ($1 != 0) ? 1 : 0 }
  }
  /// Where it is not true.
  public static prefix func .! (tensor: MLTensor) -> MLTensor { tensor.cast(to: Bool.self).mapped { 1 - $0 } }
}

/// The larger scalars of two tensors; NaN where one is.
public func pointwiseMax(_ lhs: MLTensor, _ rhs: MLTensor) -> MLTensor {
  MLTensor.joined(lhs, rhs) { $0.isNaN || $0 > $1 ? $0 : $1 }
}

/// The smaller scalars of two tensors; NaN where one is.
public func pointwiseMin(_ lhs: MLTensor, _ rhs: MLTensor) -> MLTensor {
  MLTensor.joined(lhs, rhs) { $0.isNaN || $0 < $1 ? $0 : $1 }
}
