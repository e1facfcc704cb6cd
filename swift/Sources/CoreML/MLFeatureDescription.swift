import TintypeMLX

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

  init(type: MLMultiArrayShapeConstraintType, enumeratedShapes: [[NSNumber]]) {
    self.type = type
    self.enumeratedShapes = enumeratedShapes
  }
}

/// What a multi-array feature must be.
open class MLMultiArrayConstraint {
  /// Flexible extents are given as 1.
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
  let feature: FeatureDescription

  init(_ feature: FeatureDescription, type: MLFeatureType) throws {
    guard let dataType = MLMultiArrayDataType(feature.elementType) else {
      throw MLModelError(
        .generic, status: .unsupported,
        "feature '\(feature.name)' is \(feature.elementType.rawValue), which no MLMultiArray can hold")
    }
    self.feature = feature
    self.type = type
    name = feature.name
    isOptional = feature.isOptional
    let shape = (feature.shape ?? []).map { NSNumber(value: $0 < 0 ? 1 : $0) }
    let constraint =
      if let extents = feature.shape {
        extents.contains(-1)
          ? MLMultiArrayShapeConstraint(type: .range, enumeratedShapes: [])
          : MLMultiArrayShapeConstraint(type: .enumerated, enumeratedShapes: [shape])
      } else {
        MLMultiArrayShapeConstraint(type: .unspecified, enumeratedShapes: [])
      }
    multiArrayConstraint = MLMultiArrayConstraint(shape: shape, dataType: dataType, shapeConstraint: constraint)
  }

  /// Whether a prediction would accept the value.
  open func isAllowedValue(_ value: MLFeatureValue) -> Bool {
    if value.isUndefined { return isOptional }
    guard let array = value.multiArrayValue else { return false }
    return feature.accepts(shape: array.extents)
  }
}
