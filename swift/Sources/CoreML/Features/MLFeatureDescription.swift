import TintypeMLX
import TintypePackages

/// How the shape of a multi-array is constrained. Raw values are Apple's.
public enum MLMultiArrayShapeConstraintType: Int, Sendable {
  case unspecified = 1
  case enumerated = 2
  case range = 3
}

/// The shapes that a multi-array feature allows.
open class MLMultiArrayShapeConstraint {
  public let type: MLMultiArrayShapeConstraintType
  /// The allowed shapes, when they are enumerated.
  public let enumeratedShapes: [[NSNumber]]
  private let ranges: [ExtentRange]

  init(
    type: MLMultiArrayShapeConstraintType, enumeratedShapes: [[NSNumber]] = [], ranges: [ExtentRange] = []
  ) {
    self.type = type
    self.enumeratedShapes = enumeratedShapes
    self.ranges = ranges
  }

  #if !TINTYPE_ESSENTIALS_ONLY
    /// The allowed extents of each dimension as NSRange values, when they are ranges.
    public var sizeRangeForDimension: [NSValue] {
      ranges.map { NSValue(range: NSRange($0)) }
    }
  #endif
}

/// What a state feature must be.
open class MLStateConstraint {
  public let bufferShape: [Int]
  public let dataType: MLMultiArrayDataType

  init(bufferShape: [Int], dataType: MLMultiArrayDataType) {
    self.bufferShape = bufferShape
    self.dataType = dataType
  }
}

/// What a multi-array feature must be.
open class MLMultiArrayConstraint {
  /// The default shape; flexible extents of a package that names none are given as 1.
  public let shape: [NSNumber]
  public let dataType: MLMultiArrayDataType
  public let shapeConstraint: MLMultiArrayShapeConstraint

  init(shape: [NSNumber], dataType: MLMultiArrayDataType, shapeConstraint: MLMultiArrayShapeConstraint) {
    self.shape = shape
    self.dataType = dataType
    self.shapeConstraint = shapeConstraint
  }
}

/// The name and kind of a model's input, output or state.
open class MLFeatureDescription {
  public let name: String
  public let type: MLFeatureType
  public let isOptional: Bool
  public let multiArrayConstraint: MLMultiArrayConstraint?
  public let imageConstraint: MLImageConstraint?
  public let stateConstraint: MLStateConstraint?
  let feature: FeatureDescription
  private let flexible: FlexibleShapes.Entry?

  init(_ feature: FeatureDescription, type: MLFeatureType, flexible: FlexibleShapes.Entry? = nil) throws {
    self.feature = feature
    name = feature.name
    isOptional = feature.isOptional
    self.flexible = flexible
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
    let isFlexible = feature.shape?.contains(-1) ?? true
    let shape =
      isFlexible && flexible?.defaultShape.isEmpty == false
      ? flexible?.defaultShape ?? [] : (feature.shape ?? []).map { $0 < 0 ? 1 : $0 }
    if type == .state {
      stateConstraint = MLStateConstraint(bufferShape: shape, dataType: dataType)
      multiArrayConstraint = nil
      return
    }
    stateConstraint = nil
    let numbers = shape.map { NSNumber(value: $0) }
    let constraint: MLMultiArrayShapeConstraint =
      switch (flexible?.limits, feature.shape) {
      case (.enumerated(let shapes), _):
        MLMultiArrayShapeConstraint(
          type: .enumerated, enumeratedShapes: shapes.map { $0.map { NSNumber(value: $0) } })
      case (.ranges(let ranges), _): MLMultiArrayShapeConstraint(type: .range, ranges: ranges)
      case (nil, nil): MLMultiArrayShapeConstraint(type: .unspecified)
      case (nil, .some):
        isFlexible
          ? MLMultiArrayShapeConstraint(type: .range)
          : MLMultiArrayShapeConstraint(type: .enumerated, enumeratedShapes: [numbers])
      }
    multiArrayConstraint = MLMultiArrayConstraint(shape: numbers, dataType: dataType, shapeConstraint: constraint)
  }

  /// Whether an array of this shape fits.
  func accepts(shape: [Int]) -> Bool {
    if let flexible, flexible.limits != nil { return flexible.allows(shape) }
    return feature.accepts(shape: shape)
  }

  /// Whether a prediction would accept the value.
  open func isAllowedValue(_ value: MLFeatureValue) -> Bool {
    if value.isUndefined { return isOptional }
    if let imageConstraint {
      guard let buffer = value.imageBufferValue else { return false }
      return (try? imageConstraint.check(buffer)) != nil
    }
    guard let array = value.multiArrayValue else { return false }
    return accepts(shape: array.extents)
  }
}
