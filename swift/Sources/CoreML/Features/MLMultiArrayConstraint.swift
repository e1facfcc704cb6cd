import TintypeMLX
import TintypePackages

/// How the shape of a multi-array is constrained. Raw values are Apple's.
public enum MLMultiArrayShapeConstraintType: Int, Sendable {
  /// Any shape.
  case unspecified = 1
  /// The shapes of a list.
  case enumerated = 2
  /// A range of extents an axis.
  case range = 3
}

/// The shapes that a multi-array feature allows.
open class MLMultiArrayShapeConstraint {
  /// Which of the properties below says more than the default shape.
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

  /// - Parameter shape: the default one.
  convenience init(of feature: FeatureDescription, _ limits: AllowedShapes?, shape: [NSNumber]) {
    switch (limits, feature.shape) {
    case (.enumerated(let shapes), _):
      self.init(type: .enumerated, enumeratedShapes: shapes.map { $0.map { NSNumber(value: $0) } })
    case (.ranges(let ranges), _): self.init(type: .range, ranges: ranges)
    case (nil, nil): self.init(type: .unspecified)
    case (nil, let extents?):
      if extents.contains(-1) {
        self.init(type: .range)
      } else {
        self.init(type: .enumerated, enumeratedShapes: [shape])
      }
    }
  }

  #if !TINTYPE_ESSENTIALS_ONLY
    /// The allowed extents of each dimension as NSRange values, when they are ranges.
    public var sizeRangeForDimension: [NSValue] {
      ranges.map { NSValue(range: NSRange($0)) }
    }
  #endif
}

/// What a multi-array feature must be.
open class MLMultiArrayConstraint {
  /// The default shape; flexible extents of a package that names none are given as 1.
  public let shape: [NSNumber]
  /// The type of the elements; predictions convert other numbers.
  public let dataType: MLMultiArrayDataType
  /// The other shapes that are allowed.
  public let shapeConstraint: MLMultiArrayShapeConstraint

  init(shape: [NSNumber], dataType: MLMultiArrayDataType, shapeConstraint: MLMultiArrayShapeConstraint) {
    self.shape = shape
    self.dataType = dataType
    self.shapeConstraint = shapeConstraint
  }
}
