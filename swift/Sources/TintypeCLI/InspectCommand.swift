import Foundation
import Tintype

/// `tintype inspect`: what a bundle or an .mlpackage holds, and the settings inside a picture.
struct InspectCommand {
  static let spec = CommandSpec(
    name: "inspect", summary: "Show what a bundle, an .mlpackage or a picture holds.",
    discussion:
      "Show what the bundle, the .mlpackage or the folder of them at PATH holds: inputs, outputs, parameters, bytes, ops. "
      + "Of a PNG that tintype wrote: the settings that it was made with.",
    positionals: [
      .init(name: "PATH", help: "A bundle's folder, its bundle.json, an .mlpackage, a folder of them, or a .png.")
    ],
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
    guard FileManager.default.fileExists(atPath: path.path) else { throw Nothing(path: path.givenPath) }
    if path.pathExtension.lowercased() == "png" {
      let report = try PictureReport(path)
      return terminal.line(printsJSON ? try jsonText(report) : report.text)
    }
    let isFile = path.lastPathComponent == BundleNames.file
    let folder = isFile ? path.deletingLastPathComponent() : path
    guard isFile || FileManager.default.fileExists(atPath: folder.appendingPathComponent(BundleNames.file).path) else {
      let hasData = FileManager.default.fileExists(atPath: path.appendingPathComponent("Data").path)
      guard hasData || path.pathExtension == "mlpackage" else { return try await inspectFolder(terminal) }
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

  /// A folder of packages and compiled models.
  private func inspectFolder(_ terminal: Terminal) async throws {
    let packages = FolderReport.models(in: path, "mlpackage")
    guard !packages.isEmpty || !showsPlan && !FolderReport.models(in: path, "mlmodelc").isEmpty else {
      throw NoModel(path: path.givenPath)
    }
    if showsPlan { return try await plan(packages.map { ($0.name, $0.url) }, terminal) }
    let report = try FolderReport(path)
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

  private struct NoModel: Error, CustomStringConvertible {
    let path: String
    var description: String { "\(path) is no bundle, .mlpackage, folder of them, or .png: name one of these" }
  }

  struct Nothing: Error, CustomStringConvertible {
    let path: String
    var description: String { "there is nothing at \(path): name a bundle or an .mlpackage" }
  }
}
