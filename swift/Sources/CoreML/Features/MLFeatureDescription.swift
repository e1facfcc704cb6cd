import TintypeMLX
import TintypePackages

/// The name and kind of a model's input, output or state.
open class MLFeatureDescription {
  /// The feature's name.
  public let name: String
  /// What its values are.
  public let type: MLFeatureType
  /// Whether a prediction may do without it.
  public let isOptional: Bool
  /// What its values must be, of multi-arrays.
  public let multiArrayConstraint: MLMultiArrayConstraint?
  /// What its values must be, of images.
  public let imageConstraint: MLImageConstraint?
  /// What its values must be, of dictionaries.
  public let dictionaryConstraint: MLDictionaryConstraint?
  /// What its buffer is, of states.
  public let stateConstraint: MLStateConstraint?
  /// The shapes that a multi-array may have.
  private let shapes: Shapes?

  private struct Shapes {
    let feature: FeatureDescription
    let flexible: FlexibleShapes.Entry?

    func allow(_ shape: [Int]) -> Bool {
      if let flexible, flexible.limits != nil { return flexible.allows(shape) }
      return feature.accepts(shape: shape)
    }
  }

  #if !TINTYPE_ESSENTIALS_ONLY
    /// What its values must be, of sequences: nil, since ML Programs have none.
    public var sequenceConstraint: MLSequenceConstraint? { nil }
  #endif

  /// An output that is no tensor.
  init(name: String, type: MLFeatureType, dictionary: MLDictionaryConstraint? = nil) {
    self.name = name
    self.type = type
    isOptional = false
    dictionaryConstraint = dictionary
    (multiArrayConstraint, imageConstraint, stateConstraint, shapes) = (nil, nil, nil, nil)
  }

  /// An array, a picture or a state.
  init(_ feature: FeatureDescription, type: MLFeatureType, flexible: FlexibleShapes.Entry? = nil) throws {
    name = feature.name
    isOptional = feature.isOptional
    shapes = Shapes(feature: feature, flexible: flexible)
    dictionaryConstraint = nil
    if let image = flexible?.image ?? feature.image {
      self.type = .image
      imageConstraint = MLImageConstraint(image)
      (multiArrayConstraint, stateConstraint) = (nil, nil)
      return
    }
    self.type = type
    imageConstraint = nil
    guard let dataType = MLMultiArrayDataType(feature.elementType) else {
      throw MLModelError(
        .generic, status: .unsupported,
        "feature '\(feature.name)' is \(feature.elementType.rawValue), which no MLMultiArray can hold")
    }
    let shape = MLFeatureDescription.defaultShape(of: feature, flexible)
    if type == .state {
      stateConstraint = MLStateConstraint(bufferShape: shape, dataType: dataType)
      multiArrayConstraint = nil
      return
    }
    stateConstraint = nil
    let numbers = shape.map { NSNumber(value: $0) }
    multiArrayConstraint = MLMultiArrayConstraint(
      shape: numbers, dataType: dataType,
      shapeConstraint: MLMultiArrayShapeConstraint(of: feature, flexible?.limits, shape: numbers))
  }

  private static func defaultShape(of feature: FeatureDescription, _ flexible: FlexibleShapes.Entry?) -> [Int] {
    let isFlexible = feature.shape?.contains(-1) ?? true
    if isFlexible, let shape = flexible?.defaultShape, !shape.isEmpty { return shape }
    return (feature.shape ?? []).map { $0 < 0 ? 1 : $0 }
  }

  /// Whether an array of this shape fits.
  func accepts(shape: [Int]) -> Bool { shapes?.allow(shape) ?? false }

  /// Whether a prediction would accept the value.
  open func isAllowedValue(_ value: MLFeatureValue) -> Bool {
    if value.isUndefined { return isOptional }
    if let imageConstraint {
      guard let buffer = value.imageBufferValue else { return false }
      return (try? imageConstraint.check(buffer)) != nil
    }
    if let dictionaryConstraint {
      return value.type == .dictionary && dictionaryConstraint.accepts(value.dictionaryValue)
    }
    guard type == .multiArray else { return value.type == type }
    guard let array = value.multiArrayValue else { return false }
    return accepts(shape: array.extents)
  }
}
