/// A sequence of strings or integers.
open class MLSequence {
  /// The type of the elements.
  public let type: MLFeatureType
  /// Empty unless the elements are strings.
  public let stringValues: [String]
  /// Empty unless the elements are integers.
  public let int64Values: [NSNumber]

  private init(type: MLFeatureType, strings: [String] = [], integers: [NSNumber] = []) {
    self.type = type
    stringValues = strings
    int64Values = integers
  }

  /// A sequence of texts.
  public convenience init(strings stringValues: [String]) { self.init(type: .string, strings: stringValues) }
  /// A sequence of integers.
  public convenience init(int64s int64Values: [NSNumber]) { self.init(type: .int64, integers: int64Values) }
  /// A sequence without elements, of a type.
  public convenience init(empty type: MLFeatureType) { self.init(type: type) }
}
