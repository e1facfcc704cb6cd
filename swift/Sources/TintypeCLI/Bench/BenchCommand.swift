import Foundation
import Tintype

/// `tintype bench`: a suite, or how long the parts of a run or a single prediction take.
struct BenchCommand {
  static let spec = CommandSpec(
    name: "bench", summary: "Measure speed: a suite, a bundle's stages, or a package's predictions.",
    discussion:
      "Run a suite, whose rows each have a ratio and the bar that it should reach. With PATH instead: measure loading, "
      + "text, modulation, a step and decoding of that bundle on each backend that runs here, in turn within one run; or "
      + "one prediction of that .mlpackage, through Swift and through the C ABI. Medians.",
    positionals: [
      .init(name: "PATH", help: "A bundle's folder, or an .mlpackage, instead of a suite.", isOptional: true)
    ],
    options: [
      .init(
        name: "--suite", value: "NAME", choices: Suite.allCases.map(\.rawValue),
        help:
          "pipeline: a picture of the embedded model against its models alone. overhead: a prediction through Swift "
          + "against the C ABI. cpu: the engine's element-wise ops against a copy of memory; Python's bench has the suites fusion, memory and demo, which counts what is drawn right. "
          + "[default: pipeline]"),
      .init(
        name: "--backend", value: "NAME", choices: BackendKind.allCases.map(\.rawValue),
        help: "Only this one. [default: all that run here]"), .units, .size,
      .init(name: "--steps", value: "N", help: "Denoising steps of each picture. [default: 4; suite pipeline: 12]"),
      .init(
        name: "--repeat", value: "N",
        help: "Pictures a backend, or predictions. [default: 3, or 1000; suite pipeline: 10]"),
      .quiet, .init(name: "--json", help: "Print the figures as JSON."),
    ],
    examples: [
      "tintype bench --suite overhead", "tintype bench sd3.bundle --steps 8 --json", "tintype bench add.mlpackage",
    ])

  enum Suite: String, CaseIterable {
    case pipeline, overhead, cpu
  }

  private let arguments: Arguments
  private let kinds: [BackendKind]
  private let units: ComputeUnits
  private let size: ImageSize?
  private let isQuiet: Bool
  private let printsJSON: Bool

  init(_ arguments: Arguments) throws {
    self.arguments = arguments
    if arguments.values["--suite"] != nil, let path = arguments.positionals.first {
      throw ArgumentError(
        problem: "--suite and '\(path)' exclude each other: leave one of them out", command: Self.spec.fullName)
    }
    kinds = arguments.values["--backend"].flatMap(BackendKind.init).map { [$0] } ?? BackendKind.allCases
    units = arguments.units()
    size = try arguments.size(Self.spec)
    isQuiet = arguments.has("--quiet")
    printsJSON = arguments.has("--json")
    _ = (try steps(default: 1), try repeats(default: 1))
  }

  private func steps(default standard: Int) throws -> Int {
    try arguments.count("--steps", Self.spec, most: 1000, default: standard)
  }

  private func repeats(default standard: Int) throws -> Int {
    try arguments.count("--repeat", Self.spec, most: 1_000_000, default: standard)
  }

  func run(_ terminal: Terminal, environment: [String: String]) async throws {
    let progress = ProgressLine(terminal, quiet: isQuiet || printsJSON)
    defer { progress.clear() }
    guard let path = arguments.positionals.first else {
      let report = try await suite(environment, progress)
      progress.clear()
      return terminal.line(printsJSON ? try jsonText(report) : report.text)
    }
    guard FileManager.default.fileExists(atPath: path) else { throw InspectCommand.Nothing(path: path) }
    let url = URL(fileURLWithPath: path)
    if url.pathExtension == "mlpackage" {
      let count = try repeats(default: 1000)
      let report = try await PackageBench(package: url, kinds: kinds, units: units, count: count).run()
      return terminal.line(printsJSON ? try jsonText(report) : report.text)
    }
    let bench = BundleBench(
      bundle: try ModelBundle(at: url), kinds: kinds, units: units, size: size, steps: try steps(default: 4),
      pictures: try repeats(default: 3))
    let report = try await bench.run { progress.show("drawing on \($0.rawValue)", $1, of: $2) }
    progress.clear()
    terminal.line(printsJSON ? try jsonText(report) : report.text)
  }

  private func suite(_ environment: [String: String], _ progress: ProgressLine) async throws -> BenchReport {
    switch arguments.values["--suite"].flatMap(Suite.init) ?? .pipeline {
    case .pipeline:
      let bundle = try ModelBundle(at: EmbeddedModel.folder(environment: environment))
      let pipeline = PipelineSuite(
        bundle: bundle, kinds: kinds, units: units, steps: try steps(default: 12), pictures: try repeats(default: 10))
      return try await pipeline.run { progress.show("drawing on \($0.rawValue)", $1, of: $2) }
    case .overhead: return try await OverheadSuite(kinds: kinds, predictions: try repeats(default: 1000)).run()
    case .cpu: return try await CPUSuite().run { progress.show("measuring", $0, of: $1) }
    }
  }
}

/// No backend can be measured on this machine.
struct NothingRuns: Error, CustomStringConvertible {
  let reasons: [String: String]
  var description: String { reasons.sorted { $0.key < $1.key }.map { "\($0): \($1)" }.joined(separator: "; ") }
}

/// The middle one; of an even number, the mean of the two in the middle.
func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  guard let last = sorted.indices.last else { return .nan }
  return (sorted[last / 2] + sorted[(last + 1) / 2]) / 2
}

/// "portable" and "apple" tell the two apart that answer to "coreml".
func label(of kind: BackendKind) -> String {
  kind == .coreml ? "\(kind.rawValue) (\(CoreMLPlatform.implementation))" : kind.rawValue
}
