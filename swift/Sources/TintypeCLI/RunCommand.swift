import Foundation
import Tintype

/// `tintype run`: any .mlpackage once, on files.
struct RunCommand {
  static let spec = CommandSpec(
    name: "run", summary: "Run any .mlpackage on NumPy files or pictures.",
    discussion: "Run PACKAGE (.mlpackage) once on arrays from .npy files, or pictures; writes its outputs to an .npz.",
    positionals: [.init(name: "PACKAGE", help: "An .mlpackage with an ML Program.")],
    options: [
      .init(
        name: "--input", value: "NAME=FILE", isRepeatable: true,
        help: "An input, .npy or .png; once for each."),
      .init(name: "--function", value: "NAME", help: "Function of a package with several. [default: its default one]"),
      .backend, .units, .timeBox,
      .init(
        name: "--output", short: "-o", value: "FILE",
        help: "The .npz file for the outputs. An existing file is replaced. [required]"),
      .stats, .quiet,
      .init(name: "--json", help: "Print backend, outputs and statistics as JSON."),
    ], examples: ["tintype run resnet.mlpackage --input image=cat.png -o logits.npz --stats"])

  private let package: URL
  private let inputs: [InputFile]
  private let function: String?
  private let backend: BackendChoice
  private let units: ComputeUnits
  private let timeBox: Duration?
  private let output: URL
  private let collects: Bool
  private let isQuiet: Bool
  private let printsJSON: Bool

  init(_ arguments: Arguments) throws {
    package = URL(fileURLWithPath: arguments.positionals[0])
    inputs = try (arguments.lists["--input"] ?? []).map { try InputFile($0, Self.spec) }
    function = arguments.values["--function"]
    (backend, units) = (arguments.backend(), arguments.units())
    timeBox = try arguments.timeBox(Self.spec)
    guard let file = try arguments.file("--output", Self.spec) else {
      throw ArgumentError(problem: "--output is missing: --output FILE.npz", command: Self.spec.fullName)
    }
    output = file
    collects = arguments.has("--stats")
    isQuiet = arguments.has("--quiet")
    printsJSON = arguments.has("--json")
  }

  private struct Report: Encodable {
    let package: String
    let backend: String
    let reason: String
    let outputs: [PackageReport.Row]
    let output: String
    let statistics: PredictionStatistics?

    var lines: [String] {
      ["\(package) on \(backend) (\(reason))"] + outputs.map(\.text) + [output] + (statistics?.lines ?? [])
    }
  }

  func run(_ terminal: Terminal) async throws {
    let reason = Locked<String?>(nil)
    let name = package.lastPathComponent
    let runner = backend.makeBackend(
      settings: BackendSettings(timeBox: timeBox) { [isQuiet] notice in
        switch notice {
        case .compiling: if !isQuiet { terminal.tellCompiling(name) }
        case .movedOn(let text):
          reason.withLock { $0 = text }
          terminal.warn(text)
        }
      })
    try runner.checkAvailability()
    let model = try await Blocking.run { [package, units] in try runner.load(package, units: units) }
    guard let described = model.modelDescription.function(named: function) else {
      throw BackendError.unknownFunction(name: function ?? "", known: model.modelDescription.functions.map(\.name))
    }
    var tensors: [String: Tensor] = [:]
    for input in inputs { tensors[input.name] = try input.tensor(for: described.input(named: input.name)) }
    let statistics = Locked<PredictionStatistics?>(nil)
    let outputs = try await predict(model, tensors, statistics)
    let rows = described.outputs.compactMap { feature in outputs[feature.name].map { (feature.name, $0) } }
    try AtomicFile.write(NPZ.encode(rows), to: output)
    let report = Report(
      package: package.givenPath, backend: model.backend.rawValue,
      reason: reason.withLock { $0 } ?? backend.reason,
      outputs: rows.map { .init(FeatureDescription(name: $0, elementType: $1.elementType, shape: $1.shape)) },
      output: output.givenPath, statistics: statistics.withLock { $0 })
    if printsJSON { return terminal.line(try jsonText(report)) }
    if !isQuiet { report.lines.forEach(terminal.line) }
  }

  private func predict(
    _ model: any LoadedModel, _ inputs: [String: Tensor], _ statistics: Locked<PredictionStatistics?>
  ) async throws -> [String: Tensor] {
    let keep: @Sendable (PredictionStatistics) -> Void = { found in statistics.withLock { $0 = found } }
    let (function, listener) = (function, collects ? keep : nil)
    return try await Blocking.run { checkWanted in
      let options = PredictionOptions(
        function: function, progress: { _ in try checkWanted() }, onStatistics: listener)
      return try model.predict(inputs, options: options)
    }
  }
}

/// NAME=FILE, as `--input` has it.
private struct InputFile {
  let name: String
  private let file: String

  init(_ text: String, _ spec: CommandSpec) throws {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, !parts[0].isEmpty else {
      throw ArgumentError(
        problem: "--input is '\(text)', expected NAME=FILE.npy or NAME=PICTURE.png", command: spec.fullName)
    }
    (name, file) = (parts[0], parts[1])
  }

  /// - Parameter feature: nil: the model has no such input, which it will say itself.
  func tensor(for feature: FeatureDescription?) throws -> Tensor {
    do {
      let data = try Data(contentsOf: URL(fileURLWithPath: file))
      if file.hasSuffix(".npy") { return try NPY.decode(data) }
      let picture = try RGBImage(file: data)
      guard let feature else { return try picture.tensor(.rgb) }
      guard let image = feature.image else {
        throw failure("is a picture, but the input is \(PackageReport.Row(feature).text): make an array of it")
      }
      return try picture.tensor(image.colorLayout)
    } catch let error as ArgumentError {
      throw error
    } catch let error as CocoaError {
      throw failure("cannot be read as an .npy file or a picture (\(error.localizedDescription))")
    } catch {
      throw failure("cannot be read as an .npy file or a picture (\(error))")
    }
  }

  private func failure(_ problem: String) -> ArgumentError {
    ArgumentError(problem: "--input \(name): \(file) \(problem)", command: RunCommand.spec.fullName)
  }
}
