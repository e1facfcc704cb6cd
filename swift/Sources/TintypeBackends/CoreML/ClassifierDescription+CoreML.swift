import CoreML
import TintypeMLX
import TintypePackages

// Core ML gives a classifier's outputs as a label and a dictionary; runtimes give tensors.

extension ClassifierDescription {
  /// nil unless the model is a classifier.
  init?(_ description: MLModelDescription) {
    guard let label = description.predictedFeatureName, let probabilities = description.predictedProbabilitiesName,
      let classes = description.classLabels
    else { return nil }
    self.init(
      label: label, probabilities: probabilities,
      classes: classes.compactMap { object in
        (object as? String).map(Label.text) ?? (object as? NSNumber).map { .integer($0.int64Value) }
      })
  }

  /// One of the two outputs as a tensor; nil for a name that is neither's. Throws where the model gives no such value.
  func tensor(of value: MLFeatureValue, named name: String) throws -> Tensor? {
    switch name {
    case label:
      try withUnsafeBytes(of: number(of: value)) { try Tensor(shape: [], elementType: .int64, bytes: $0) }
    case probabilities: try Tensor(shape: [classes.count], floats: classes.map { try share(of: $0, in: value) })
    default: nil
    }
  }

  private func share(of label: Label, in value: MLFeatureValue) throws -> Float {
    guard let share = value.dictionaryValue[label.key] else { throw missing("probability of \(label.key)") }
    return share.floatValue
  }

  /// The label's place among the texts, or the label itself.
  private func number(of value: MLFeatureValue) throws -> Int64 {
    guard case .text = classes.first else { return value.int64Value }
    guard let place = classes.firstIndex(of: .text(value.stringValue)) else {
      throw missing("class \"\(value.stringValue)\"")
    }
    return Int64(place)
  }

  private func missing(_ what: String) -> BackendError {
    .failed(backend: .coreml, kind: .runtime, message: "the classifier has no \(what)")
  }
}

extension ClassifierDescription.Label {
  /// As a key of Core ML's dictionaries.
  fileprivate var key: AnyHashable {
    switch self {
    case .text(let text): AnyHashable(text)
    case .integer(let integer): AnyHashable(integer)
    }
  }
}
