import Foundation
import Tintype

/// A package as `inspect` prints it.
struct PackageReport: Encodable {
  struct Function: Encodable {
    let inputs: [FeatureRow]
    let outputs: [FeatureRow]
    let states: [FeatureRow]
    let opCount: Int
    let ops: [String: Int]
    /// How many labels a classifier has; nil: it is none.
    let classes: Int?

    private enum CodingKeys: String, CodingKey {
      case inputs, outputs, states, ops, classes
      case opCount = "op_count"
    }
  }

  /// Everything that the package says of itself.
  struct Contents: Encodable {
    let specificationVersion: Int
    let functions: [String: Function]
    let parameters: Int
    let weightBytes: Int
    let metadata: [String: String]

    private enum CodingKeys: String, CodingKey {
      case functions, parameters, metadata
      case specificationVersion = "specification_version"
      case weightBytes = "weight_bytes"
    }
  }

  let contents: Contents
  private let path: String
  /// The functions, the default one first.
  private let order: [String]

  private enum CodingKeys: String, CodingKey {
    case kind, path
  }

  init(_ summary: PackageSummary, path: String) {
    self.path = path
    order = summary.description.functions.map(\.name)
    contents = Contents(
      specificationVersion: summary.specificationVersion, functions: Self.functions(summary),
      parameters: summary.parameters, weightBytes: summary.weightBytes, metadata: Self.metadata(summary.metadata))
  }

  func encode(to encoder: any Encoder) throws {
    try contents.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode("package", forKey: .kind)
    try values.encode(path, forKey: .path)
  }

  /// The default one.
  var main: Function? { order.first.flatMap { contents.functions[$0] } }

  private static func functions(_ summary: PackageSummary) -> [String: Function] {
    summary.description.functions.reduce(into: [:]) { functions, function in
      let (ops, classifier) = (summary.operations[function.name] ?? [:], summary.classifiers[function.name])
      functions[function.name] = Function(
        inputs: function.inputs.map { FeatureRow($0) },
        outputs: function.outputs.map {
          FeatureRow($0, isText: classifier?.hasTexts == true && $0.name == classifier?.label)
        },
        states: function.states.map { FeatureRow($0) }, opCount: ops.values.reduce(0, +), ops: ops,
        classes: classifier?.classes.count)
    }
  }

  /// The names that Python's command gives them.
  private static func metadata(_ entries: [String: String]) -> [String: String] {
    let names = ["shortDescription": "description", "versionString": "version"]
    return entries.reduce(into: [:]) { $0[names[$1.key] ?? $1.key] = $1.value }
  }

  var text: String {
    var lines = [
      "\(path): specification \(contents.specificationVersion), \(countText(contents.parameters)) parameters, "
        + "\(bytesText(contents.weightBytes)) of weights"
    ]
    for name in order {
      guard let function = contents.functions[name] else { continue }
      let classes = function.classes.map { ", a classifier of \($0) classes" } ?? ""
      lines += ["", "\(name): \(function.opCount) ops (\(opsText(function.ops)))\(classes)"]
      for (kind, rows) in [("input", function.inputs), ("output", function.outputs), ("state", function.states)] {
        lines += rows.map { "  \(kind.padding(toLength: 7, withPad: " ", startingAt: 0))\($0.text)" }
      }
    }
    if !contents.metadata.isEmpty { lines.append("") }
    lines += contents.metadata.sorted { $0.key < $1.key }.map { "\($0): \($1)" }
    return lines.joined(separator: "\n")
  }
}

/// The most frequent ops by name, the rest counted together.
func opsText(_ ops: [String: Int]) -> String {
  let sorted = ops.sorted { $0.value != $1.value ? $0.value > $1.value : $0.key < $1.key }
  let shown = sorted.prefix(8).map { "\($0.value) \($0.key)" }
  let rest = sorted.dropFirst(8).reduce(0) { $0 + $1.value }
  return (shown + (rest > 0 ? ["\(rest) others"] : [])).joined(separator: ", ")
}
