import TintypeMLX

/// The types of number that a tensor can hold.
public protocol MLTensorScalar: BitwiseCopyable, Sendable {
  /// The same type, as the engine names it. Not for use outside of this package.
  static var _elementType: ElementType { get }
}

extension Float: MLTensorScalar {
  /// As the engine names it.
  public static var _elementType: ElementType { .float32 }
}
extension Float16: MLTensorScalar {
  /// As the engine names it.
  public static var _elementType: ElementType { .float16 }
}
extension Int8: MLTensorScalar {
  /// As the engine names it.
  public static var _elementType: ElementType { .int8 }
}
extension Int16: MLTensorScalar {
  /// As the engine names it.
  public static var _elementType: ElementType { .int16 }
}
extension Int32: MLTensorScalar {
  /// As the engine names it.
  public static var _elementType: ElementType { .int32 }
}
extension UInt8: MLTensorScalar {
  /// As the engine names it.
  public static var _elementType: ElementType { .uint8 }
}
extension UInt16: MLTensorScalar {
  /// As the engine names it.
  public static var _elementType: ElementType { .uint16 }
}
extension UInt32: MLTensorScalar {
  /// As the engine names it.
  public static var _elementType: ElementType { .uint32 }
}
extension Bool: MLTensorScalar {
  /// As the engine names it.
  public static var _elementType: ElementType { .bool }
}
