import Foundation
import Tintype

/// An output of `run`: its file in the archive, its row in the report and its values as text.
struct RunOutput {
  let name: String
  let content: Data
  let row: FeatureRow
  private let tensor: Tensor
  private let text: String?

  /// - Parameter labels: nil: the model is no classifier with texts.
  init(_ name: String, _ tensor: Tensor, _ labels: ClassLabels?) {
    (self.name, self.tensor) = (name, tensor)
    text = labels?.text(of: tensor, named: name)
    if let text {
      content = NPY.encode(text: text)
      row = FeatureRow(name: name, text: text)
    } else {
      content = NPY.encode(tensor)
      row = FeatureRow(FeatureDescription(name: name, elementType: tensor.elementType, shape: tensor.shape))
    }
  }

  var lines: [String] { text.map { [$0] } ?? ArrayText(tensor).lines }
}

/// A classifier's texts, which its label gives by their places.
struct ClassLabels {
  private let label: String
  private let texts: [String]

  private struct Metadata: Decodable {
    struct Function: Decodable { let classifier: Classifier? }
    struct Classifier: Decodable {
      let label: String
      let classes: [String]
    }
    let functions: [String: Function]
  }

  /// Nil: the function is no classifier, or its classes are numbers.
  init?(_ metadataJSON: String?, function: String) {
    guard let metadataJSON, let metadata = try? JSONDecoder().decode(Metadata.self, from: Data(metadataJSON.utf8)),
      let classifier = metadata.functions[function]?.classifier
    else { return nil }
    (label, texts) = (classifier.label, classifier.classes)
  }

  func text(of tensor: Tensor, named name: String) -> String? {
    guard name == label, let place = tensor.int32s().first, texts.indices.contains(Int(place)) else { return nil }
    return texts[Int(place)]
  }
}
