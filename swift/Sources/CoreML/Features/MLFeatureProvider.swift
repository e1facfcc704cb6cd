import CoreVideo

/// The collection of feature values that a model takes or gives.
public protocol MLFeatureProvider {
  /// The names of the values.
  var featureNames: Set<String> { get }
  /// The value of that name; nil where there is none.
  func featureValue(for featureName: String) -> MLFeatureValue?
}

/// A feature provider over a dictionary.
open class MLDictionaryFeatureProvider: MLFeatureProvider {
  /// The values by name.
  public let dictionary: [String: MLFeatureValue]

  /// Values may be feature values, multi-arrays, pixel buffers, strings, numbers, lists of strings or dictionaries of
  /// numbers; anything else throws.
  public init(dictionary: [String: Any]) throws {
    self.dictionary = try dictionary.reduce(into: [:]) { features, entry in
      features[entry.key] = try MLDictionaryFeatureProvider.featureValue(of: entry.value, named: entry.key)
    }
  }

  /// The names of the values.
  public var featureNames: Set<String> { Set(dictionary.keys) }

  /// The value of that name; nil where there is none.
  open func featureValue(for featureName: String) -> MLFeatureValue? { dictionary[featureName] }

  /// The value of that name; nil where there is none.
  public subscript(featureName: String) -> MLFeatureValue? { dictionary[featureName] }

  private static func double(_ value: some BinaryFloatingPoint) -> Double { Double(value) }

  private static func featureValue(of value: Any, named name: String) throws -> MLFeatureValue {
    switch value {
    case let value as MLFeatureValue: return value
    case let value as CVPixelBuffer: return MLFeatureValue(pixelBuffer: value)
    case let value as MLMultiArray: return MLFeatureValue(multiArray: value)
    case let value as String: return MLFeatureValue(string: value)
    case let value as any BinaryFloatingPoint: return MLFeatureValue(double: double(value))
    case let value as any BinaryInteger: return MLFeatureValue(int64: Int64(clamping: value))
    case let value as Bool: return MLFeatureValue(int64: value ? 1 : 0)
    case let value as MLSequence: return MLFeatureValue(sequence: value)
    case let value as [String]: return MLFeatureValue(sequence: MLSequence(strings: value))
    case let value as [String: Double]: return try MLFeatureValue(dictionary: value.mapValues { NSNumber(value: $0) })
    case let value as [AnyHashable: NSNumber]: return try MLFeatureValue(dictionary: value)
    case let value as NSNumber: return MLFeatureValue(double: value.doubleValue)
    default:
      throw MLModelError(
        .featureType, status: .invalidArgument,
        "feature '\(name)' has a value of type \(Swift.type(of: value)), which is no feature value")
    }
  }
}
