import Foundation
import Tintype

/// `tintype inspect`: what a bundle or an .mlpackage holds, and the settings inside a picture.
struct InspectCommand {
  static let spec = CommandSpec(
    name: "inspect", summary: "Show what a bundle, an .mlpackage or a picture holds.",
    discussion:
      "Show what the bundle or the .mlpackage at PATH holds: inputs, outputs, parameters, bytes, ops. Of a PNG "
      + "that tintype wrote: the settings that it was made with.",
    positionals: [.init(name: "PATH", help: "A bundle's folder, its bundle.json, an .mlpackage, or a .png.")],
    options: [
      .init(
        name: "--neural-engine",
        help: "Forecast what would run on the Neural Engine, operation by operation; on a Mac, also show what Core "
          + "ML plans."),
      .init(
        name: "--require", value: "SHARE",
        help: "With --neural-engine: fail where a package has less of its work there, as in 95%; on a Mac by Core ML's "
          + "plan, else by the forecast."),
      .init(
        name: "--units", value: "NAME", choices: ComputeUnits.allCases.map(\.rawValue),
        help: "With --neural-engine: what Core ML's plan may use (ane: CPU and Neural Engine). [default: ane]"),
      .init(name: "--json", help: "Print everything as JSON."),
    ], examples: ["tintype inspect sd3.bundle", "tintype inspect ane.bundle --neural-engine --require 95%"])

  private let path: URL
  private let units: ComputeUnits
  private let showsPlan: Bool
  /// Between 0 and 1.
  private let required: Double?
  private let printsJSON: Bool

  init(_ arguments: Arguments) throws {
    units = arguments.values["--units"] == nil ? .cpuAndNeuralEngine : arguments.units()
    showsPlan = arguments.has("--neural-engine")
    required = try Self.share(arguments)
    path = URL(fileURLWithPath: arguments.positionals[0])
    printsJSON = arguments.has("--json")
  }

  private static func share(_ arguments: Arguments) throws -> Double? {
    func fail(_ problem: String) -> ArgumentError { ArgumentError(problem: problem, command: spec.fullName) }
    guard let text = arguments.values["--require"] else { return nil }
    guard arguments.has("--neural-engine") else {
      throw fail("--require has no influence without --neural-engine: add it")
    }
    guard text.hasSuffix("%"), let percent = Double(text.dropLast()), (0...100).contains(percent) else {
      throw fail("--require is '\(text)', expected a percentage from 0% to 100%, such as 95%")
    }
    return percent / 100
  }

  func run(_ terminal: Terminal) async throws {
    guard FileManager.default.fileExists(atPath: path.path) else { throw Nothing(path: path.path) }
    if path.pathExtension.lowercased() == "png" {
      let report = try PictureReport(path)
      return terminal.line(printsJSON ? try jsonText(report) : report.text)
    }
    let isFile = path.lastPathComponent == BundleNames.file
    let folder = isFile ? path.deletingLastPathComponent() : path
    guard isFile || FileManager.default.fileExists(atPath: folder.appendingPathComponent(BundleNames.file).path) else {
      if showsPlan { return try await plan([(path.lastPathComponent, path)], terminal) }
      let report = PackageReport(try PackageSummary(package: path), path: path.givenPath)
      return terminal.line(printsJSON ? try jsonText(report) : report.text)
    }
    let bundle = try ModelBundle(at: folder)
    if showsPlan {
      return try await plan(bundle.descriptor.knownComponents.flatMap { try Self.rows($0, of: bundle) }, terminal)
    }
    let report = try BundleReport(bundle)
    terminal.line(printsJSON ? try jsonText(report) : report.text)
  }

  /// A component's package; of several chunks, each with its number.
  private static func rows(_ component: PipelineComponent, of bundle: ModelBundle) throws -> [NeuralEngineReport.Row] {
    let packages = try bundle.packages(component)
    guard packages.count > 1 else { return packages.map { (component.rawValue, $0) } }
    return packages.enumerated().map { ("\(component.rawValue) \($0 + 1)", $1) }
  }

  private func plan(_ rows: [NeuralEngineReport.Row], _ terminal: Terminal) async throws {
    let report = try await NeuralEngineReport(rows, path: path.givenPath, units: units, required: required)
    terminal.line(printsJSON ? try jsonText(report) : report.text)
    try report.requirement?.check()
  }

  struct Nothing: Error, CustomStringConvertible {
    let path: String
    var description: String { "there is nothing at \(path): name a bundle or an .mlpackage" }
  }
}

/// A package as `inspect` prints it.
struct PackageReport: Encodable {
  struct Row: Encodable {
    let name: String
    let dtype: String
    /// Nil: any shape; -1: a flexible extent.
    let shape: [Int]?

    init(_ feature: FeatureDescription) {
      (name, dtype, shape) = (feature.name, feature.elementType.rawValue, feature.shape)
    }

    init(_ spec: BundleDescriptor.TensorSpec) {
      (name, dtype, shape) = (spec.name, spec.dtype, spec.shape)
    }

    var text: String {
      let sizes = shape.map { $0.map { $0 < 0 ? "?" : "\($0)" }.joined(separator: ", ") } ?? "any"
      return "\(name) \(dtype) [\(sizes)]"
    }
  }

  struct Function: Encodable {
    let inputs: [Row]
    let outputs: [Row]
    let states: [Row]
    let opCount: Int
    let ops: [String: Int]

    private enum CodingKeys: String, CodingKey {
      case inputs, outputs, states, ops
      case opCount = "op_count"
    }
  }

  let kind = "package"
  let path: String
  let specificationVersion: Int
  let functions: [String: Function]
  let parameters: Int
  let weightBytes: Int
  let metadata: [String: String]
  private let order: [String]

  private enum CodingKeys: String, CodingKey {
    case kind, path, functions, parameters, metadata
    case specificationVersion = "specification_version"
    case weightBytes = "weight_bytes"
  }

  init(_ summary: PackageSummary, path: String) {
    self.path = path
    specificationVersion = summary.specificationVersion
    (parameters, weightBytes) = (summary.parameters, summary.weightBytes)
    metadata = summary.metadata
    order = summary.description.functions.map(\.name)
    functions = Dictionary(
      summary.description.functions.map { function in
        let ops = summary.operations[function.name] ?? [:]
        return (
          function.name,
          Function(
            inputs: function.inputs.map(Row.init), outputs: function.outputs.map(Row.init),
            states: function.states.map(Row.init), opCount: ops.values.reduce(0, +), ops: ops)
        )
      }, uniquingKeysWith: { first, _ in first })
  }

  var text: String {
    var lines = [
      "\(path): specification \(specificationVersion), \(countText(parameters)) parameters, "
        + "\(bytesText(weightBytes)) of weights"
    ]
    for name in order {
      guard let function = functions[name] else { continue }
      lines += ["", "\(name): \(function.opCount) ops (\(opsText(function.ops)))"]
      for (kind, rows) in [("input", function.inputs), ("output", function.outputs), ("state", function.states)] {
        lines += rows.map { "  \(kind.padding(toLength: 7, withPad: " ", startingAt: 0))\($0.text)" }
      }
    }
    if !metadata.isEmpty { lines.append("") }
    lines += metadata.sorted { $0.key < $1.key }.map { "\($0): \($1)" }
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
