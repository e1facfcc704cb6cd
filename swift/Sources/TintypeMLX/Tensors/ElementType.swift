import CTintype

/// What one element of a tensor is. The raw value is the name that `bundle.json` uses.
public enum ElementType: String, Sendable, Codable, CaseIterable {
  /// One byte an element, 0 or 1.
  case bool
  /// Signed and unsigned integers of 8 to 64 bits, in the machine's byte order.
  case int8, uint8, int16, uint16, int32, uint32, int64
  /// IEEE 754 floating point of 16, 32 and 64 bits.
  case float16, float32, float64

  /// Bytes an element takes.
  public var size: Int {
    switch self {
    case .bool, .int8, .uint8: 1
    case .int16, .uint16, .float16: 2
    case .int32, .uint32, .float32: 4
    case .int64, .float64: 8
    }
  }

  /// Whether it is one of the three float types.
  public var isFloatingPoint: Bool {
    switch self {
    case .float16, .float32, .float64: true
    default: false
    }
  }

  /// The value in the C ABI (`tt_dtype`).
  public var abiValue: Int32 {
    switch self {
    case .bool: Int32(TT_BOOL)
    case .int8: Int32(TT_INT8)
    case .uint8: Int32(TT_UINT8)
    case .int16: Int32(TT_INT16)
    case .uint16: Int32(TT_UINT16)
    case .int32: Int32(TT_INT32)
    case .uint32: Int32(TT_UINT32)
    case .int64: Int32(TT_INT64)
    case .float16: Int32(TT_FLOAT16)
    case .float32: Int32(TT_FLOAT32)
    case .float64: Int32(TT_FLOAT64)
    }
  }

  /// The type of a `tt_dtype`, or nil for a value that the ABI does not define.
  public init?(abiValue: Int32) {
    guard let match = ElementType.allCases.first(where: { $0.abiValue == abiValue }) else { return nil }
    self = match
  }
}
