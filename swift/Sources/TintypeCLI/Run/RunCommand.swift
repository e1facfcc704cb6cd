import Foundation
import Tintype

/// `tintype run`: any .mlpackage once, on files.
struct RunCommand {
  static let spec = CommandSpec(
    name: "run", summary: "Run any .mlpackage on NumPy files or pictures.",
    discussion:
      "Run PACKAGE (.mlpackage) once on arrays from .npy files, or pictures; writes its outputs to an .npz, or prints them, the "
      + "middle of large ones left out. Where the model takes floats or int32, arrays of other floats or integers are read "
      + "as that. States begin with zeros.",
    positionals: [.init(name: "PACKAGE", help: "An .mlpackage with an ML Program.")],
    options: [
      .init(
        name: "--input", value: "NAME=FILE", isRepeatable: true,
        help: "An input, .npy or a picture; once for each."),
      .init(name: "--function", value: "NAME", help: "Function of a package with several. [default: its default one]"),
      .backend, .units, .timeBox,
      .init(
        name: "--output", short: "-o", value: "FILE",
        help: "The .npz file for the outputs. An existing file is replaced. [default: none, their values are printed]"),
      .stats, .quiet,
      .init(name: "--json", help: "Print backend, outputs and statistics as JSON."),
    ], examples: ["tintype run resnet.mlpackage --input image=cat.png -o logits.npz --stats"])

  private let package: URL
  private let inputs: [InputFile]
  private let function: String?
  private let backend: BackendChoice
  private let units: ComputeUnits
  private let timeBox: Duration?
  private let output: URL?
  private let collects: Bool
  private let isQuiet: Bool
  private let printsJSON: Bool

  init(_ arguments: Arguments) throws {
    package = URL(fileURLWithPath: arguments.positionals[0])
    inputs = try InputFile.all(arguments.lists["--input"] ?? [])
    function = arguments.values["--function"]
    (backend, units) = (arguments.backend(), arguments.units())
    timeBox = try arguments.timeBox(Self.spec)
    output = try arguments.file("--output", Self.spec)
    if let output { try OutputFile.check(output, Self.spec) }
    collects = arguments.has("--stats")
    isQuiet = arguments.has("--quiet")
    printsJSON = arguments.has("--json")
  }

  private struct Report: Encodable {
    let package: String
    let backend: String
    let reason: String
    let outputs: [FeatureRow]
    /// Null where the values are printed.
    let output: String?
    let statistics: PredictionStatistics?

    func encode(to encoder: any Encoder) throws {
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(package, forKey: .package)
      try values.encode(backend, forKey: .backend)
      try values.encode(reason, forKey: .reason)
      try values.encode(outputs, forKey: .outputs)
      try values.encode(output, forKey: .output)
      try values.encodeIfPresent(statistics, forKey: .statistics)
    }

    private enum CodingKeys: String, CodingKey { case package, backend, reason, outputs, output, statistics }

    func lines(_ rows: [RunOutput]) -> [String] {
      let found = rows.flatMap { [$0.row.line] + (output == nil ? $0.lines : []) }
      return ["\(package) on \(backend) (\(reason))"] + found + (output.map { [$0] } ?? []) + (statistics?.lines ?? [])
    }
  }

  func run(_ terminal: Terminal) async throws {
    let reason = Locked<String?>(nil)
    let name = package.deletingPathExtension().lastPathComponent
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
    for input in inputs {
      let (tensor, note) = try input.tensor(for: described.input(named: input.name))
      tensors[input.name] = tensor
      if let note, !isQuiet { terminal.tell(note) }
    }
    let statistics = Locked<PredictionStatistics?>(nil)
    let outputs = try await predict(model, tensors, hasStates: !described.states.isEmpty, statistics)
    let labels = ClassLabels(model.metadataJSON, function: described.name)
    let rows = described.outputs.compactMap { feature in
      outputs[feature.name].map { RunOutput(feature.name, $0, labels) }
    }
    if let output { try AtomicFile.write(NPZ.encode(files: rows.map { ($0.name, $0.content) }), to: output) }
    let report = Report(
      package: package.givenPath, backend: model.backend.rawValue,
      reason: reason.withLock { $0 } ?? backend.reason,
      outputs: rows.map(\.row), output: output?.givenPath, statistics: statistics.withLock { $0 })
    if printsJSON { return terminal.line(try jsonText(report)) }
    if !isQuiet { report.lines(rows).forEach(terminal.line) }
  }

  private func predict(
    _ model: any LoadedModel, _ inputs: [String: Tensor], hasStates: Bool,
    _ statistics: Locked<PredictionStatistics?>
  ) async throws -> [String: Tensor] {
    let keep: @Sendable (PredictionStatistics) -> Void = { found in statistics.withLock { $0 = found } }
    let (function, listener) = (function, collects ? keep : nil)
    return try await Blocking.run { checkWanted in
      let options = PredictionOptions(
        function: function, state: hasStates ? try model.makeState(function: function) : nil,
        progress: { _ in try checkWanted() }, onStatistics: listener)
      return try model.predict(inputs, options: options)
    }
  }
}
