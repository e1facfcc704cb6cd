/// A feature value that may cross from one task to another: no picture, and a multi-array only as a copy.
public struct MLSendableFeatureValue: Equatable, Sendable, CustomDebugStringConvertible {
  private enum Value: Equatable, Sendable {
    case undefined(MLFeatureType)
    case integer(Int)
    case float16(Float16)
    case float(Float)
    case double(Double)
    case string(String)
    case strings([String])
    case byString([String: Double])
    case byInteger([Int: Double])
    case doubles(MLShapedArray<Double>)
    case floats(MLShapedArray<Float>)
    case halves(MLShapedArray<Float16>)
    case integers(MLShapedArray<Int32>)
    case bytes(MLShapedArray<Int8>)
  }

  private let value: Value

  /// No value, of a type.
  public init(undefined type: MLFeatureType) { value = .undefined(type) }
  /// An integer.
  public init(_ value: Int) { self.value = .integer(value) }
  /// An integer.
  public init(_ value: Int32) { self.value = .integer(Int(value)) }
  /// A number of half precision.
  public init(_ value: Float16) { self.value = .float16(value) }
  /// A number of single precision.
  public init(_ value: Float) { self.value = .float(value) }
  /// A number of double precision.
  public init(_ value: Double) { self.value = .double(value) }
  /// A text.
  public init(_ value: String) { self.value = .string(value) }
  /// Texts in an order.
  public init(_ value: [String]) { self.value = .strings(value) }
  /// Numbers by texts.
  public init(_ value: [String: Double]) { self.value = .byString(value) }
  /// Numbers by texts.
  public init(_ value: [String: Int]) { self.value = .byString(value.mapValues(Double.init)) }
  /// Numbers by integers.
  public init(_ value: [Int: Double]) { self.value = .byInteger(value) }
  /// Numbers by integers.
  public init(_ value: [Int: Int]) { self.value = .byInteger(value.mapValues(Double.init)) }

  /// Numbers in several dimensions.
  public init<Scalar: MLShapedArrayScalar>(_ value: MLShapedArray<Scalar>) {
    switch Scalar.multiArrayDataType {
    case .double: self.value = .doubles(MLShapedArray(converting: value))
    case .float32: self.value = .floats(MLShapedArray(converting: value))
    case .float16: self.value = .halves(MLShapedArray(converting: value))
    case .int32: self.value = .integers(MLShapedArray(converting: value))
    case .int8: self.value = .bytes(MLShapedArray(converting: value))
    }
  }

  /// The value of a feature, a copy; nil for pictures, states and sequences of integers.
  public init?(_ value: MLFeatureValue) {
    if value.isUndefined {
      self.init(undefined: value.type)
      return
    }
    switch value.type {
    case .int64: self.init(Int(value.int64Value))
    case .double: self.init(value.doubleValue)
    case .string: self.init(value.stringValue)
    case .multiArray:
      guard let array = value.multiArrayValue else { return nil }
      self.init(array)
    case .dictionary: self.init(value.dictionaryValue)
    case .sequence:
      guard let sequence = value.sequenceValue, sequence.type == .string else { return nil }
      self.init(sequence.stringValues)
    case .image, .invalid, .state: return nil
    }
  }

  /// Copies the elements: the array's memory can change.
  private init(_ array: MLMultiArray) {
    func copy<Scalar>(_: Scalar.Type) -> MLShapedArray<Scalar> {
      let shared = MLShapedArray<Scalar>(array)
      return MLShapedArray(scalars: shared.scalars, shape: shared.shape)
    }
    switch array.dataType {
    case .double: value = .doubles(copy(Double.self))
    case .float32: value = .floats(copy(Float.self))
    case .float16: value = .halves(copy(Float16.self))
    case .int32: value = .integers(copy(Int32.self))
    case .int8: value = .bytes(copy(Int8.self))
    }
  }

  private init(_ dictionary: [AnyHashable: NSNumber]) {
    let numbers = dictionary.map { ($0.key.base, $0.value.doubleValue) }
    if numbers.allSatisfy({ $0.0 is String }) {
      value = .byString(Dictionary(numbers.map { ("\($0.0)", $0.1) }, uniquingKeysWith: { first, _ in first }))
      return
    }
    let integers = numbers.map { key, number in
      ((key as? any BinaryInteger).map { Int(clamping: $0) } ?? (key as? NSNumber)?.intValue ?? 0, number)
    }
    value = .byInteger(Dictionary(integers, uniquingKeysWith: { first, _ in first }))
  }

  /// What the value is.
  public var type: MLFeatureType {
    switch value {
    case .undefined(let type): type
    case .integer: .int64
    case .float16, .float, .double: .double
    case .string: .string
    case .strings: .sequence
    case .byString, .byInteger: .dictionary
    case .doubles, .floats, .halves, .integers, .bytes: .multiArray
    }
  }

  /// Whether there is no value.
  public var isUndefined: Bool {
    if case .undefined = value { true } else { false }
  }

  /// Whether the value is a single number.
  public var isScalar: Bool {
    switch value {
    case .integer, .float16, .float, .double: true
    default: false
    }
  }

  /// Whether the value is a shaped array.
  public var isShapedArray: Bool { type == .multiArray && !isUndefined }

  /// nil unless the value is an integer.
  public var integerValue: Int? {
    if case .integer(let value) = value { value } else { nil }
  }

  /// nil unless the value is a number of half precision.
  public var float16Value: Float16? {
    if case .float16(let value) = value { value } else { nil }
  }

  /// nil unless the value is a number of single precision.
  public var floatValue: Float? {
    if case .float(let value) = value { value } else { nil }
  }

  /// nil unless the value is a number of double precision.
  public var doubleValue: Double? {
    if case .double(let value) = value { value } else { nil }
  }

  /// nil unless the value is a text.
  public var stringValue: String? {
    if case .string(let value) = value { value } else { nil }
  }

  /// nil unless the value is a list of texts.
  public var stringArrayValue: [String]? {
    if case .strings(let value) = value { value } else { nil }
  }

  /// nil unless the value is numbers by texts.
  public var stringDictionaryValue: [String: Double]? {
    if case .byString(let value) = value { value } else { nil }
  }

  /// nil unless the value is numbers by integers.
  public var integerDictionaryValue: [Int: Double]? {
    if case .byInteger(let value) = value { value } else { nil }
  }

  /// nil unless the value is a shaped array of these scalars.
  public func shapedArrayValue<Scalar: MLShapedArrayScalar>(of type: Scalar.Type) -> MLShapedArray<Scalar>? {
    switch value {
    case .doubles(let value): value as? MLShapedArray<Scalar>
    case .floats(let value): value as? MLShapedArray<Scalar>
    case .halves(let value): value as? MLShapedArray<Scalar>
    case .integers(let value): value as? MLShapedArray<Scalar>
    case .bytes(let value): value as? MLShapedArray<Scalar>
    default: nil
    }
  }

  /// The type and the value.
  public var debugDescription: String { "\(type): \(value)" }

  /// The same as a feature value.
  fileprivate var feature: MLFeatureValue {
    switch value {
    case .undefined(let type): MLFeatureValue(undefined: type)
    case .integer(let value): MLFeatureValue(int64: Int64(value))
    case .float16(let value): MLFeatureValue(double: Double(value))
    case .float(let value): MLFeatureValue(double: Double(value))
    case .double(let value): MLFeatureValue(double: value)
    case .string(let value): MLFeatureValue(string: value)
    case .strings(let value): MLFeatureValue(sequence: MLSequence(strings: value))
    case .byString(let value): MLFeatureValue(numbers: value.mapValues { NSNumber(value: $0) })
    case .byInteger(let value):
      MLFeatureValue(
        numbers: Dictionary(uniqueKeysWithValues: value.map { (Int64($0.key), NSNumber(value: $0.value)) }))
    case .doubles(let value): MLFeatureValue(shapedArray: value)
    case .floats(let value): MLFeatureValue(shapedArray: value)
    case .halves(let value): MLFeatureValue(shapedArray: value)
    case .integers(let value): MLFeatureValue(shapedArray: value)
    case .bytes(let value): MLFeatureValue(shapedArray: value)
    }
  }
}

extension MLFeatureValue {
  /// The value that another task has sent.
  public convenience init(_ value: MLSendableFeatureValue) { self.init(value.feature) }
}
