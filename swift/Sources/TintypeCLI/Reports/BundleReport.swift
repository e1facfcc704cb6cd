import Foundation
import Tintype

/// A bundle as `inspect` prints it: bundle.json, and for each component what its package says.
struct BundleReport: Encodable {
  private struct Component: Encodable {
    let row: BundleDescriptor.ComponentRow
    /// One, or one a chunk.
    let packages: [PackageSummary]

    /// Those of the default function.
    var ops: [String: Int] {
      packages.reduce(into: [:]) { ops, package in
        let main = package.description.functions.first.flatMap { package.operations[$0.name] }
        ops.merge(main ?? [:], uniquingKeysWith: +)
      }
    }

    private enum Key: String, CodingKey {
      case ops
      case opCount = "op_count"
      case specificationVersion = "specification_version"
    }

    func encode(to encoder: any Encoder) throws {
      try row.encode(to: encoder)
      var values = encoder.container(keyedBy: Key.self)
      try values.encode(ops, forKey: .ops)
      try values.encode(ops.values.reduce(0, +), forKey: .opCount)
      try values.encode(packages.map(\.specificationVersion).max(), forKey: .specificationVersion)
    }
  }

  private let bundle: ModelBundle
  private let components: [String: Component]

  init(_ bundle: ModelBundle) throws {
    self.bundle = bundle
    components = try bundle.descriptor.components.mapValues { row in
      let packages = try row.paths.map { try PackageSummary(package: bundle.folder.appendingPathComponent($0)) }
      return Component(row: row, packages: packages)
    }
  }

  private enum Key: String, CodingKey {
    case kind, path, components
  }

  func encode(to encoder: any Encoder) throws {
    try bundle.descriptor.encode(to: encoder)
    var values = encoder.container(keyedBy: Key.self)
    try values.encode("bundle", forKey: .kind)
    try values.encode(bundle.folder.givenPath, forKey: .path)
    try values.encode(components, forKey: .components)
  }

  var text: String {
    let descriptor = bundle.descriptor
    let (schedule, defaults) = (descriptor.schedule, descriptor.defaults)
    var lines = [
      "\(descriptor.name): \(descriptor.family.rawValue), \(descriptor.precision.rawValue), "
        + "\(descriptor.availableSizes.map(\.description).joined(separator: ", ")), "
        + "target \(descriptor.target.rawValue)",
      "schedule \(schedule.kind.rawValue), shift \(shortNumber(schedule.shift)); default \(defaults.steps) steps, "
        + "guidance \(shortNumber(defaults.guidanceScale))",
      "",
    ]
    lines += table() + [""]
    lines += descriptor.tokenizers.sorted { $0.key < $1.key }.map {
      "\($0): \($1.kind.rawValue), \($1.maxLength) tokens"
    }
    return lines.joined(separator: "\n")
  }

  private func table() -> [String] {
    var rows = [["component", "parameters", "weights", "ops", "inputs", "outputs"]]
    var totals = (parameters: 0, bytes: 0, ops: 0)
    for (name, component) in sorted() {
      let (row, ops) = (component.row, component.ops.values.reduce(0, +))
      let (parameters, bytes) = (row.parameters ?? 0, row.weightBytes ?? 0)
      totals = (totals.parameters + parameters, totals.bytes + bytes, totals.ops + ops)
      let chunks = row.chunks.map { " (\($0.count) chunks)" } ?? ""
      rows.append([
        name + chunks, countText(parameters), bytesText(bytes), "\(ops)", specs(row.inputs), specs(row.outputs),
      ])
    }
    rows.append(["all", countText(totals.parameters), bytesText(totals.bytes), "\(totals.ops)", "", ""])
    return tableLines(rows, right: 1..<4)
  }

  /// In the bundle's order; names that this release does not know last.
  private func sorted() -> [(String, Component)] {
    func order(_ name: String) -> Int {
      PipelineComponent(rawValue: name).flatMap(PipelineComponent.allCases.firstIndex) ?? .max
    }
    return components.sorted { (order($0.key), $0.key) < (order($1.key), $1.key) }
  }

  private func specs(_ specs: [BundleDescriptor.TensorSpec]) -> String {
    specs.map { FeatureRow($0).text }.joined(separator: "; ")
  }
}
