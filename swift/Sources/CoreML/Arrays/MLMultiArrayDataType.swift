import TintypeMLX

/// The element type of a multi-array. Raw values are Apple's: class of number << 16 | bits.
public enum MLMultiArrayDataType: Int, Sendable {
  /// Floats of 64 bits.
  case double = 0x10040
  /// Floats of 32 bits.
  case float32 = 0x10020
  /// Floats of 16 bits.
  case float16 = 0x10010
  /// Integers of 32 bits.
  case int32 = 0x20020
  /// Integers of 8 bits.
  case int8 = 0x20008

  /// Floats of 64 bits.
  public static var float64: MLMultiArrayDataType { .double }
  /// Floats of 32 bits.
  public static var float: MLMultiArrayDataType { .float32 }

  var elementType: ElementType {
    switch self {
    case .double: .float64
    case .float32: .float32
    case .float16: .float16
    case .int32: .int32
    case .int8: .int8
    }
  }

  /// nil for types that Core ML's multi-arrays do not have.
  init?(_ type: ElementType) {
    switch type {
    case .float64: self = .double
    case .float32: self = .float32
    case .float16: self = .float16
    case .int32: self = .int32
    case .int8: self = .int8
    case .bool, .uint8, .int16, .uint16, .uint32, .int64: return nil
    }
  }
}
