import Foundation
import Tintype

/// `tintype bench`: how long the parts of a run take on each backend, or a single prediction.
struct BenchCommand {
  static let spec = CommandSpec(
    name: "bench", summary: "Measure how long a bundle's stages, or a package's predictions, take.",
    discussion:
      "Measure loading, text, modulation, a step and decoding of the bundle at PATH on each backend that runs here, in "
      + "turn within one run; or one prediction of the .mlpackage at PATH, through Swift and through the C ABI. "
      + "Medians; lower is better.",
    positionals: [.init(name: "PATH", help: "A bundle's folder, or an .mlpackage.")],
    options: [
      .init(
        name: "--backend", value: "NAME", choices: BackendKind.allCases.map(\.rawValue),
        help: "Only this one. [default: all that run here]"), .units, .size,
      .init(name: "--steps", value: "N", help: "Denoising steps of each picture. [default: 4]"),
      .init(name: "--repeat", value: "N", help: "Pictures a backend, or predictions. [default: 3, or 1000]"),
      .quiet, .init(name: "--json", help: "Print the seconds as JSON."),
    ], examples: ["tintype bench sd3.bundle --steps 8 --json", "tintype bench add.mlpackage"])

  private let path: URL
  private let kinds: [BackendKind]
  private let units: ComputeUnits
  private let size: ImageSize?
  private let steps: Int
  private let pictures: Int
  private let predictions: Int
  private let isQuiet: Bool
  private let printsJSON: Bool

  init(_ arguments: Arguments) throws {
    path = URL(fileURLWithPath: arguments.positionals[0])
    kinds = arguments.values["--backend"].flatMap(BackendKind.init).map { [$0] } ?? BackendKind.allCases
    units = arguments.units()
    size = try arguments.size(Self.spec)
    steps = try arguments.count("--steps", Self.spec, most: 1000, default: 4)
    pictures = try arguments.count("--repeat", Self.spec, most: 1_000_000, default: 3)
    predictions = try arguments.count("--repeat", Self.spec, most: 1_000_000, default: 1000)
    isQuiet = arguments.has("--quiet")
    printsJSON = arguments.has("--json")
  }

  func run(_ terminal: Terminal) async throws {
    guard FileManager.default.fileExists(atPath: path.path) else { throw InspectCommand.Nothing(path: path.path) }
    let progress = ProgressLine(terminal, quiet: isQuiet || printsJSON)
    defer { progress.clear() }
    if path.pathExtension == "mlpackage" {
      let report = try await PackageBench(package: path, kinds: kinds, units: units, count: predictions).run()
      return terminal.line(printsJSON ? try jsonText(report) : report.text)
    }
    let bench = BundleBench(
      bundle: try ModelBundle(at: path), kinds: kinds, units: units, size: size, steps: steps, pictures: pictures)
    let report = try await bench.run { progress.show("drawing on \($0.rawValue)", $1, of: $2) }
    progress.clear()
    terminal.line(printsJSON ? try jsonText(report) : report.text)
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
