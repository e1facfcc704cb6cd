import Foundation
import Tintype

/// `tintype generate`: a prompt in, a picture out.
struct GenerateCommand {
  static let spec = CommandSpec(
    name: "generate", summary: "Draw a picture.", discussion: "Draw PROMPT.",
    positionals: [.init(name: "PROMPT", help: "What the picture shows; put quotes around it.")],
    options: [
      .init(
        name: "--model", value: "BUNDLE",
        help: "Bundle made by Python's `tintype convert`. [default: the embedded model, once Python has converted it]"),
      .init(name: "--negative-prompt", value: "TEXT", help: "What the picture should not show."),
      .init(name: "--steps", value: "N", help: "Denoising steps. [default: the model's]"),
      .init(
        name: "--guidance-scale", value: "G",
        help: "How strongly the prompt is followed; 1 or less: without guidance. [default: the model's]"),
      .init(name: "--seed", value: "N", help: "0 to 4294967295. [default: a random one, which is printed]"),
      .init(
        name: "--generator", value: "NAME", choices: NoiseGenerator.allCases.map(\.rawValue),
        help: "What draws the noise from the seed: numpy as Python's tintype does, torch as diffusers does on the CPU, "
          + "philox as PyTorch does on CUDA. [default: numpy]"),
      .init(name: "--size", value: "WxH", help: "Must be the model's size. [default: the model's]"),
      .init(
        name: "--backend", value: "NAME", choices: BackendChoice.allCases.map(\.rawValue),
        help: "coreml and mlx are strict; auto takes Core ML where it works, else MLX, and says why. [default: auto]"),
      .init(
        name: "--units", value: "NAME", choices: ComputeUnits.allCases.map(\.rawValue),
        help: "What Core ML may use (ane: Neural Engine). MLX ignores it. [default: all]"),
      .init(name: "--no-t5", help: "Run as if the model had no T5 text encoder."),
      .init(
        name: "--output", short: "-o", value: "FILE",
        help: "PNG file to write, with the settings inside. An existing file is replaced. [default: out.png]"),
      .init(name: "--latents-out", value: "FILE", help: "Also write the final latents, as a NumPy .npy file."),
      .init(name: "--noise-out", value: "FILE", help: "Also write the initial noise, as a NumPy .npy file."),
      .init(name: "--quiet", help: "Print nothing but warnings and errors."),
      .init(name: "--json", help: "Print settings, backends and timings as JSON."),
    ],
    examples: [
      "tintype generate \"a red circle above a blue square\"",
      "tintype generate \"a photo of a cat\" --model sd3.bundle --seed 7 -o cat.png",
    ])

  private let model: URL?
  private let request: GenerationRequest
  private let output: URL
  private let latentsOutput: URL?
  private let noiseOutput: URL?
  private let isQuiet: Bool
  private let printsJSON: Bool

  init(_ arguments: Arguments) throws {
    func file(_ name: String) -> URL? { arguments.values[name].map { URL(fileURLWithPath: $0) } }
    model = file("--model")
    output = file("--output") ?? URL(fileURLWithPath: "out.png")
    latentsOutput = file("--latents-out")
    noiseOutput = file("--noise-out")
    isQuiet = arguments.has("--quiet")
    printsJSON = arguments.has("--json")
    request = GenerationRequest(
      arguments.positionals[0], negativePrompt: arguments.values["--negative-prompt"] ?? "",
      steps: try arguments.number("--steps", Int.self, Self.spec),
      guidanceScale: try arguments.number("--guidance-scale", Double.self, Self.spec),
      seed: try arguments.number("--seed", Int.self, Self.spec),
      generator: arguments.values["--generator"].flatMap(NoiseGenerator.init) ?? .numpy, size: try Self.size(arguments),
      backend: .all(arguments.values["--backend"].flatMap(BackendChoice.init) ?? .auto),
      units: .all(arguments.values["--units"].flatMap(ComputeUnits.init) ?? .all), useT5: !arguments.has("--no-t5"))
  }

  func run(_ terminal: Terminal, environment: [String: String]) async throws {
    try Self.check(output, suffix: "png", option: "--output")
    if let latentsOutput { try Self.check(latentsOutput, suffix: "npy", option: "--latents-out") }
    if let noiseOutput { try Self.check(noiseOutput, suffix: "npy", option: "--noise-out") }
    let folder = try model ?? EmbeddedModel.folder(environment: environment)
    let pipeline = try TextToImagePipeline(bundleAt: folder)
    let progress = ProgressLine(terminal, quiet: isQuiet || printsJSON)
    defer { progress.clear() }
    progress.show("reading the prompt", 0, of: 1)
    let result = try await pipeline.generate(request) { event in
      switch event {
      case .conditioned(let start): progress.show("drawing", 0, of: start.settings.steps)
      case .step(let step):
        progress.show(step.number == step.steps ? "decoding" : "drawing", step.number, of: step.steps)
      case .done: progress.clear()
      }
    }
    try result.write(to: output)
    if let latentsOutput { try AtomicFile.write(NPY.encode(result.latents), to: latentsOutput) }
    if let noiseOutput { try AtomicFile.write(NPY.encode(result.initialLatents), to: noiseOutput) }
    result.warnings.forEach(terminal.warn)
    try report(result, terminal)
  }

  private func report(_ result: GenerationResult, _ terminal: Terminal) throws {
    if printsJSON {
      return terminal.line(try jsonText(Report(result, output: output.path)))
    }
    if isQuiet { return }
    let runs = Stage.allCases.compactMap { stage in result.stages[stage].map { (stage: stage, run: $0) } }
    if let first = runs.first, runs.allSatisfy({ $0.run == first.run }) {
      terminal.line(
        "\(runs.map(\.stage.rawValue).joined(separator: ", ")) on \(first.run.backend) (\(first.run.reason))")
    } else {
      for row in runs { terminal.line("\(row.stage.rawValue) on \(row.run.backend) (\(row.run.reason))") }
    }
    let settings = result.settings
    let seed = settings.seed.map { "seed \($0)" } ?? "the given noise"
    terminal.line(
      "\(output.relativePath): \(settings.width)x\(settings.height), \(settings.steps) steps, "
        + "guidance \(shortNumber(settings.guidanceScale)), \(seed), \(decimals(result.timings.total, 1)) s")
  }

  private static func size(_ arguments: Arguments) throws -> ImageSize? {
    guard let text = arguments.values["--size"] else { return nil }
    let sides = text.lowercased().split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    guard sides.count == 2, let width = sides[0], let height = sides[1], width >= 0, height >= 0 else {
      throw ArgumentError(
        problem: "--size is '\(text)', expected WIDTHxHEIGHT in pixels, such as 1024x768", command: spec.fullName)
    }
    return ImageSize(width: width, height: height)
  }

  /// Before minutes of work: whether the file can be written where it shall be.
  private static func check(_ file: URL, suffix: String, option: String) throws {
    func fail(_ problem: String) -> ArgumentError { ArgumentError(problem: problem, command: spec.fullName) }
    guard file.pathExtension.lowercased() == suffix else {
      throw fail("\(option) is '\(file.relativePath)', expected a name that ends with .\(suffix)")
    }
    let folder = file.deletingLastPathComponent()
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder), isFolder.boolValue else {
      throw fail("the folder \(folder.path) does not exist: make it, or name another file")
    }
    if FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder), isFolder.boolValue {
      throw fail("\(file.path) is a folder: name a file")
    }
  }

  /// What `--json` prints: the keys of Python's command, the backends once more for scripts, and warnings.
  private struct Report: Encodable {
    let output: String
    let settings: GenerationSettings
    let backends: [String: String]
    let stages: [String: StageRun]
    let timings: [String: Double]
    let warnings: [String]

    init(_ result: GenerationResult, output: String) {
      self.output = output
      settings = result.settings
      backends = result.settings.backends
      stages = Dictionary(uniqueKeysWithValues: result.stages.map { ($0.rawValue, $1) })
      let seconds = result.timings
      timings = [
        "load": seconds.load, "text_encoder": seconds.textEncoder, "modulation": seconds.modulation,
        "denoiser": seconds.denoiser, "vae": seconds.vae, "total": seconds.total,
      ]
      warnings = result.warnings
    }
  }
}
