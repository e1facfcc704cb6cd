import TintypeMLX
import TintypePackages

// What the engine gives of a classifier are tensors; Core ML's outputs are a label and a dictionary.

extension ClassifierDescription {
  /// `.string` or `.int64`.
  var labelType: MLFeatureType {
    if case .text = classes.first { .string } else { .int64 }
  }

  /// The description of one of the two outputs; nil for a name that is neither's.
  func describe(_ name: String) -> MLFeatureDescription? {
    switch name {
    case label: MLFeatureDescription(name: name, type: labelType)
    case probabilities:
      MLFeatureDescription(name: name, type: .dictionary, dictionary: MLDictionaryConstraint(keyType: labelType))
    default: nil
    }
  }

  /// One of the two outputs as Core ML has it; nil for a name that is neither's.
  func value(of tensor: Tensor, named name: String) throws -> MLFeatureValue? {
    switch name {
    case label: try labelValue(of: tensor)
    case probabilities: try MLFeatureValue(dictionary: shares(of: tensor))
    default: nil
    }
  }

  private func labelValue(of tensor: Tensor) throws -> MLFeatureValue {
    let number = tensor.withUnsafeBytes { bytes in
      tensor.elementType == .int64 && bytes.count == MemoryLayout<Int64>.size
        ? bytes.loadUnaligned(as: Int64.self) : nil
    }
    guard let number else { throw unreadable("its label is \(tensor.elementType.rawValue) of shape \(tensor.shape)") }
    if labelType == .int64 { return MLFeatureValue(int64: number) }
    guard let place = Int(exactly: number), classes.indices.contains(place), case .text(let text) = classes[place]
    else {
      throw unreadable("its label is the class \(number) of \(classes.count)")
    }
    return MLFeatureValue(string: text)
  }

  private func shares(of tensor: Tensor) throws -> [AnyHashable: NSNumber] {
    let values = tensor.doubles()
    guard values.count == classes.count else {
      throw unreadable("it gives \(values.count) probabilities for \(classes.count) classes")
    }
    // A label that stands for two classes has the larger of their probabilities, as the predicted one must.
    return Dictionary(zip(classes.map(\.key), values), uniquingKeysWith: Swift.max).mapValues { NSNumber(value: $0) }
  }

  private func unreadable(_ what: String) -> MLModelError {
    MLModelError(.generic, status: .format, "The classifier's outputs cannot be read: \(what).")
  }
}

extension ClassifierDescription.Label {
  /// As a key of a dictionary of probabilities.
  fileprivate var key: AnyHashable {
    switch self {
    case .text(let text): AnyHashable(text)
    case .integer(let integer): AnyHashable(integer)
    }
  }

  /// As `MLModelDescription.classLabels` has it.
  var object: Any {
    switch self {
    case .text(let text): text
    case .integer(let integer): NSNumber(value: integer)
    }
  }
}
