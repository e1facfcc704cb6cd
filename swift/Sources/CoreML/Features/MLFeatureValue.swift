import CoreVideo
import TintypeImages
import TintypeMLX

/// The kinds of value that a feature can have. Raw values are Apple's.
public enum MLFeatureType: Int, Sendable {
  /// No value.
  case invalid = 0
  /// An integer.
  case int64 = 1
  /// A floating-point number.
  case double = 2
  /// A text.
  case string = 3
  /// A picture.
  case image = 4
  /// Numbers in several dimensions.
  case multiArray = 5
  /// Numbers by texts or integers.
  case dictionary = 6
  /// Texts or integers in an order.
  case sequence = 7
  /// What a model keeps between predictions.
  case state = 8
}

/// A value of one of Core ML's feature types.
open class MLFeatureValue {
  private enum Value {
    case int64(Int64)
    case double(Double)
    case string(String)
    case image(CVPixelBuffer)
    case multiArray(MLMultiArray)
    case dictionary([AnyHashable: NSNumber])
    case sequence(MLSequence)
    case undefined(MLFeatureType)
  }

  private let value: Value

  /// An integer.
  public init(int64 value: Int64) { self.value = .int64(value) }
  /// A floating-point number.
  public init(double value: Double) { self.value = .double(value) }
  /// A text.
  public init(string value: String) { self.value = .string(value) }
  /// An image.
  public init(pixelBuffer value: CVPixelBuffer) { self.value = .image(value) }
  /// A multi-array, not copied.
  public init(multiArray value: MLMultiArray) { self.value = .multiArray(value) }
  /// A sequence.
  public init(sequence: MLSequence) { value = .sequence(sequence) }
  /// A copy of a shaped array, as a multi-array.
  public init<Scalar>(shapedArray: MLShapedArray<Scalar>) { value = .multiArray(MLMultiArray(shapedArray)) }

  /// Keys must be strings or integers, and all of one kind.
  public init(dictionary: [AnyHashable: NSNumber]) throws {
    let keys = dictionary.keys.map(\.base)
    guard keys.allSatisfy({ $0 is String }) || keys.allSatisfy({ $0 is Int || $0 is Int64 || $0 is NSNumber }) else {
      throw MLModelError(
        .featureType, status: .invalidArgument, "the keys of a dictionary feature must be all strings or all integers")
    }
    value = .dictionary(dictionary)
  }

  /// Keys of one kind are in the dictionary's type.
  init<Key: Hashable>(numbers: [Key: NSNumber]) {
    value = .dictionary(Dictionary(uniqueKeysWithValues: numbers.map { (AnyHashable($0.key), $0.value) }))
  }

  /// The same value; memory is shared.
  init(_ other: MLFeatureValue) { value = other.value }

  /// No value, of a type: for optional inputs that are left out.
  public init(undefined type: MLFeatureType) { self.value = .undefined(type) }

  /// What the value is.
  open var type: MLFeatureType {
    switch value {
    case .int64: .int64
    case .double: .double
    case .string: .string
    case .image: .image
    case .multiArray: .multiArray
    case .dictionary: .dictionary
    case .sequence: .sequence
    case .undefined(let type): type
    }
  }

  /// Whether there is no value.
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

  /// nil unless the value is an image.
  open var imageBufferValue: CVPixelBuffer? {
    if case .image(let value) = value { value } else { nil }
  }

  /// nil unless the value is a multi-array.
  open var multiArrayValue: MLMultiArray? {
    if case .multiArray(let value) = value { value } else { nil }
  }

  /// nil unless the value is a multi-array of these scalars.
  public func shapedArrayValue<Scalar>(of type: Scalar.Type) -> MLShapedArray<Scalar>? {
    guard let array = multiArrayValue, array.dataType == Scalar.multiArrayDataType else { return nil }
    return MLShapedArray(array)
  }

  /// Empty unless the value is a dictionary.
  open var dictionaryValue: [AnyHashable: NSNumber] {
    if case .dictionary(let value) = value { value } else { [:] }
  }

  /// nil unless the value is a sequence.
  open var sequenceValue: MLSequence? {
    if case .sequence(let value) = value { value } else { nil }
  }

  /// Whether both have the same type and value; multi-arrays are compared element by element, and
  /// images pixel by pixel.
  open func isEqual(to value: MLFeatureValue) -> Bool {
    switch (self.value, value.value) {
    case (.int64(let left), .int64(let right)): left == right
    case (.double(let left), .double(let right)): left == right
    case (.string(let left), .string(let right)): left == right
    case (.dictionary(let left), .dictionary(let right)): left == right
    case (.undefined(let left), .undefined(let right)): left == right
    case (.sequence(let left), .sequence(let right)):
      left.type == right.type && left.stringValues == right.stringValues && left.int64Values == right.int64Values
    case (.image(let left), .image(let right)): left == right || left.hasSamePixels(as: right)
    case (.multiArray(let left), .multiArray(let right)):
      left.dataType == right.dataType && left.extents == right.extents
        && (0..<left.count).allSatisfy { left[$0] == right[$0] }
    default: false
    }
  }
}

extension MLFeatureValue: Hashable, CustomStringConvertible {
  /// Whether both have the same type and value.
  public static func == (left: MLFeatureValue, right: MLFeatureValue) -> Bool { left.isEqual(to: right) }

  /// Feeds the type, and values that are single ones, to the hasher: memory can change.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(type)
    switch value {
    case .int64(let value): hasher.combine(value)
    case .double(let value): hasher.combine(value)
    case .string(let value): hasher.combine(value)
    case .dictionary(let value): hasher.combine(value)
    case .image, .multiArray, .sequence, .undefined: break
    }
  }

  /// The type and the value.
  public var description: String {
    switch value {
    case .int64(let value): "\(type): \(value)"
    case .double(let value): "\(type): \(value)"
    case .string(let value): "\(type): \(value)"
    case .dictionary(let value): "\(type): \(value)"
    case .multiArray(let value): "\(type): \(value)"
    case .sequence(let value): "\(type): \(value.type == .string ? "\(value.stringValues)" : "\(value.int64Values)")"
    case .image(let value): "\(type): \(CVPixelBufferGetWidth(value)) × \(CVPixelBufferGetHeight(value))"
    case .undefined: "\(type): undefined"
    }
  }
}

extension CVPixelBuffer {
  /// Whether both have the same size, format and pixels, however their rows are padded.
  fileprivate func hasSamePixels(as other: CVPixelBuffer) -> Bool {
    let format = CVPixelBufferGetPixelFormatType(self)
    guard format == CVPixelBufferGetPixelFormatType(other),
      let layout = ImageDescription.ColorLayout.allCases.first(where: { $0.pixelFormats.contains(format) }),
      let left = try? Tensor(pixelsOf: self, layout), let right = try? Tensor(pixelsOf: other, layout),
      left.shape == right.shape
    else { return false }
    return left.withUnsafeBytes { left in right.withUnsafeBytes { left.elementsEqual($0) } }
  }
}
