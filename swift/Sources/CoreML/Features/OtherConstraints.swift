/// What a state feature must be.
open class MLStateConstraint {
  /// Extents of the buffer, one an axis.
  public let bufferShape: [Int]
  /// The type of the elements.
  public let dataType: MLMultiArrayDataType

  init(bufferShape: [Int], dataType: MLMultiArrayDataType) {
    self.bufferShape = bufferShape
    self.dataType = dataType
  }
}

/// What a dictionary feature must be.
open class MLDictionaryConstraint {
  /// What the keys are: `.string` or `.int64`.
  public let keyType: MLFeatureType

  init(keyType: MLFeatureType) { self.keyType = keyType }

  /// Whether a dictionary has such keys.
  func accepts(_ dictionary: [AnyHashable: NSNumber]) -> Bool {
    dictionary.keys.allSatisfy { ($0.base is String) == (keyType == .string) }
  }
}

#if !TINTYPE_ESSENTIALS_ONLY
  /// What a sequence feature must be. ML Programs have none, so no description here has one.
  open class MLSequenceConstraint {
    /// What every element must be.
    public let valueDescription: MLFeatureDescription
    /// How many elements are allowed.
    public let countRange: NSRange

    init(valueDescription: MLFeatureDescription, countRange: NSRange) {
      self.valueDescription = valueDescription
      self.countRange = countRange
    }
  }
#endif
