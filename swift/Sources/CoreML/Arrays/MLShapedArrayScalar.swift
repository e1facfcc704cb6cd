import TintypeMLX

/// The number types that a shaped array can hold.
public protocol MLShapedArrayScalar: BitwiseCopyable, Sendable {
  /// The same type, as multi-arrays name it.
  static var multiArrayDataType: MLMultiArrayDataType { get }
}

extension Double: MLShapedArrayScalar {
  /// Double precision.
  public static var multiArrayDataType: MLMultiArrayDataType { .double }
}
extension Float: MLShapedArrayScalar {
  /// Single precision.
  public static var multiArrayDataType: MLMultiArrayDataType { .float32 }
}
extension Float16: MLShapedArrayScalar {
  /// Half precision.
  public static var multiArrayDataType: MLMultiArrayDataType { .float16 }
}
extension Int32: MLShapedArrayScalar {
  /// 32 bits.
  public static var multiArrayDataType: MLMultiArrayDataType { .int32 }
}
extension Int8: MLShapedArrayScalar {
  /// 8 bits.
  public static var multiArrayDataType: MLMultiArrayDataType { .int8 }
}

/// How the scalars of a shaped array lie in memory.
public enum MLShapedArrayBufferLayout: Sendable, Hashable {
  /// The last axis is contiguous, as in C.
  case firstMajorContiguous
  /// The first axis is contiguous, as in Fortran.
  case lastMajorContiguous
  /// As these strides say, in scalars.
  case strides([Int])

  func strides(of shape: [Int]) -> [Int] {
    switch self {
    case .firstMajorContiguous: TensorView.contiguousStrides(of: shape)
    case .lastMajorContiguous: TensorView.contiguousStrides(of: shape.reversed()).reversed()
    case .strides(let strides): strides
    }
  }
}

/// A range in a subscript of a shaped array.
public protocol MLShapedArrayRangeExpression {
  /// The indices that it stands for on an axis with the indices of `range`.
  func relative(toShapedArrayAxis range: Range<Int>) -> Range<Int>
}

extension Range: MLShapedArrayRangeExpression where Bound == Int {
  /// The indices that it stands for on an axis.
  public func relative(toShapedArrayAxis range: Range<Int>) -> Range<Int> { self }
}
extension ClosedRange: MLShapedArrayRangeExpression where Bound == Int {
  /// The indices that it stands for on an axis.
  public func relative(toShapedArrayAxis range: Range<Int>) -> Range<Int> { Range(self) }
}
extension PartialRangeFrom: MLShapedArrayRangeExpression where Bound == Int {
  /// The indices that it stands for on an axis.
  public func relative(toShapedArrayAxis range: Range<Int>) -> Range<Int> { lowerBound..<range.upperBound }
}
extension PartialRangeUpTo: MLShapedArrayRangeExpression where Bound == Int {
  /// The indices that it stands for on an axis.
  public func relative(toShapedArrayAxis range: Range<Int>) -> Range<Int> { range.lowerBound..<upperBound }
}
extension PartialRangeThrough: MLShapedArrayRangeExpression where Bound == Int {
  /// The indices that it stands for on an axis.
  public func relative(toShapedArrayAxis range: Range<Int>) -> Range<Int> { range.lowerBound..<(upperBound + 1) }
}
