/// The kinds of value that a feature can have. Raw values are Apple's.
public enum MLFeatureType: Int, Sendable {
  case invalid = 0
  case int64 = 1
  case double = 2
  case string = 3
  case image = 4
  case multiArray = 5
  case dictionary = 6
  case sequence = 7
  case state = 8
}

/// A value of one of Core ML's feature types. Images, dictionaries and sequences do not exist here: no ML Program
/// that the engine runs takes or gives them.
open class MLFeatureValue {
  private enum Value {
    case int64(Int64)
    case double(Double)
    case string(String)
    case multiArray(MLMultiArray)
    case undefined(MLFeatureType)
  }

  private let value: Value

  public init(int64 value: Int64) { self.value = .int64(value) }
  public init(double value: Double) { self.value = .double(value) }
  public init(string value: String) { self.value = .string(value) }
  public init(multiArray value: MLMultiArray) { self.value = .multiArray(value) }
  public init(undefined type: MLFeatureType) { self.value = .undefined(type) }

  open var type: MLFeatureType {
    switch value {
    case .int64: .int64
    case .double: .double
    case .string: .string
    case .multiArray: .multiArray
    case .undefined(let type): type
    }
  }

  open var isUndefined: Bool {
    if case .undefined = value { true } else { false }
  }

  /// 0 unless the value is an integer.
  open var int64Value: Int64 {
    if case .int64(let value) = value { value } else { 0 }
  }

  /// 0 unless the value is a double.
  open var doubleValue: Double {
    if case .double(let value) = value { value } else { 0 }
  }

  /// Empty unless the value is a string.
  open var stringValue: String {
    if case .string(let value) = value { value } else { "" }
  }

  /// nil unless the value is a multi-array.
  open var multiArrayValue: MLMultiArray? {
    if case .multiArray(let value) = value { value } else { nil }
  }
}
