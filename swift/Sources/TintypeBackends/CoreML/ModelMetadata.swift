import TintypePackages

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The JSON of `model_metadata` in the C ABI, as far as the package's files tell it.
struct ModelMetadata: Encodable {
  private struct Function: Encodable {
    let ops: [String: Int]
    let classifier: Classifier?
  }

  private struct Classifier: Encodable {
    let label: String
    let probabilities: String
    let classes: [ClassifierDescription.Label]

    init(_ description: ClassifierDescription) {
      label = description.label
      probabilities = description.probabilities
      classes = description.classes
    }
  }

  private enum CodingKeys: String, CodingKey {
    case specificationVersion = "specification_version"
    case functions, metadata
    case weightBytes = "weight_bytes"
  }

  private let specificationVersion: Int
  private let functions: [String: Function]
  private let weightBytes: Int?
  private let metadata: [String: String]

  init(_ specification: PackageSpecification, weightBytes: Int?) {
    specificationVersion = specification.version
    functions = specification.operations.reduce(into: [:]) { functions, entry in
      functions[entry.key] = Function(
        ops: entry.value, classifier: specification.classifiers[entry.key].map(Classifier.init))
    }
    self.weightBytes = weightBytes
    metadata = specification.metadata
  }

  var json: String? {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) }
  }
}

extension ClassifierDescription.Label: Encodable {
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .text(let text): try container.encode(text)
    case .integer(let integer): try container.encode(integer)
    }
  }
}
