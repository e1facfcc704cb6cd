import Foundation
import Tintype

/// `tintype generate`: a prompt in, a picture out.
struct GenerateCommand {
  private let model: URL?
  private let request: GenerationRequest
  private let configuration: PipelineConfiguration
  private let repeatWarnings: [String]
  private let output: URL
  private let latentsOutput: URL?
  private let noiseOutput: URL?
  private let previewFolder: URL?
  private let count: Int
  private let isQuiet: Bool
  private let printsJSON: Bool

  init(_ arguments: Arguments) throws {
    func file(_ name: String) -> URL? { arguments.values[name].map { URL(fileURLWithPath: $0) } }
    model = file("--model")
    output = file("--output") ?? URL(fileURLWithPath: "out.png")
    latentsOutput = file("--latents-out")
    noiseOutput = file("--noise-out")
    previewFolder = file("--preview-folder")
    count = try arguments.number("--count", Int.self, Self.spec) ?? 1
    isQuiet = arguments.has("--quiet")
    printsJSON = arguments.has("--json")
    configuration = try arguments.configuration(Self.spec)
    let settings = try Self.settings(arguments)
    repeatWarnings = settings?.cannotRepeat ?? []
    request = try Self.request(settings.map(GenerationRequest.init(repeating:)), arguments)
  }

  /// The request of a picture, or a new one, with what the command line says.
  private static func request(_ known: GenerationRequest?, _ arguments: Arguments) throws -> GenerationRequest {
    var request = known ?? GenerationRequest("")
    if let prompt = arguments.positionals.first { request.prompt = prompt }
    if let text = arguments.values["--negative-prompt"] { request.negativePrompt = text }
    if let steps = try arguments.number("--steps", Int.self, spec) { request.steps = steps }
    if let scale = try arguments.number("--guidance-scale", Double.self, spec) { request.guidanceScale = scale }
    if let seed = try arguments.number("--seed", UInt32.self, spec) { request.seed = seed }
    if let generator = arguments.values["--generator"].flatMap(NoiseGenerator.init) { request.generator = generator }
    if let size = try arguments.size(spec) { request.size = size }
    if arguments.has("--no-t5") { request.useT5 = false }
    request.collectsStatistics = arguments.has("--stats")
    request.source = try source(arguments)
    request.previewInterval = arguments.values["--preview-folder"] == nil ? nil : 1
    return request
  }

  private static func settings(_ arguments: Arguments) throws -> GenerationSettings? {
    guard let path = arguments.values["--from"] else { return nil }
    do {
      return try GenerationSettings(png: Data(contentsOf: URL(fileURLWithPath: path)))
    } catch let error as CocoaError {
      throw ArgumentError(
        problem: "--from is '\(path)', which cannot be read (\(error.localizedDescription))", command: spec.fullName)
    } catch {
      throw ArgumentError(problem: "--from is '\(path)', but \(error)", command: spec.fullName)
    }
  }

  func run(_ terminal: Terminal, environment: [String: String]) async throws {
    do { _ = try PictureFormat(writing: output) } catch {
      throw Self.badSuffix(output, PictureFormat.writableSuffixes.joined(separator: " or "), option: "--output")
    }
    try Self.check(output)
    if let latentsOutput { try Self.checkArray(latentsOutput, option: "--latents-out") }
    if let noiseOutput { try Self.checkArray(noiseOutput, option: "--noise-out") }
    if let previewFolder { try Self.checkFolder(previewFolder) }
    repeatWarnings.forEach(terminal.warn)
    let folder = try model ?? EmbeddedModel.folder(environment: environment)
    let pipeline = try TextToImagePipeline(bundleAt: folder, configuration: configuration)
    let progress = ProgressLine(terminal, quiet: isQuiet, bar: !printsJSON)
    defer { progress.clear() }
    progress.show("reading the prompt", 0, of: 1)
    // Written as they come: those that are done stay if a later one fails.
    var results: [Drawn] = []
    for try await event in try pipeline.events(request, count: count) {
      switch event {
      case .compiling(let component): progress.tellCompiling(component.rawValue)
      case .warning(let text): progress.warn(text)
      case .conditioned(let start): progress.show("drawing", 0, of: start.schedule.timesteps.count)
      case .step(let step):
        progress.show(step.number == step.steps ? "decoding" : "drawing", step.number, of: step.steps)
        try writePreview(step)
      case .done(let result):
        progress.clear()
        try write(result)
        results.append(Drawn(result))
      }
    }
    // A cancelled stream ends without an error.
    try Task.checkCancellation()
    try report(results, terminal)
  }

  private func write(_ result: GenerationResult) throws {
    let index = result.settings.imageIndex
    try result.write(to: numbered(output, index))
    if let latentsOutput { try AtomicFile.write(NPY.encode(result.latents), to: numbered(latentsOutput, index)) }
    if let noiseOutput { try AtomicFile.write(NPY.encode(result.initialLatents), to: numbered(noiseOutput, index)) }
  }

  /// step-01.png, or 2-step-01.png of the second of several pictures.
  private func writePreview(_ step: GenerationEvent.Step) throws {
    guard let previewFolder, let preview = step.preview else { return }
    let digits = String(step.steps).count - String(step.number).count
    let number = String(repeating: "0", count: max(0, digits)) + "\(step.number)"
    let name = (count > 1 ? "\(step.imageIndex + 1)-" : "") + "step-\(number).png"
    try AtomicFile.write(PNG.encode(preview), to: previewFolder.appendingPathComponent(name))
  }

  /// "out.png" of several pictures is "out-1.png", "out-2.png", …
  private func numbered(_ file: URL, _ index: Int) -> URL {
    guard count > 1 else { return file }
    let name = "\(file.deletingPathExtension().lastPathComponent)-\(index + 1).\(file.pathExtension)"
    return file.deletingLastPathComponent().appendingPathComponent(name)
  }

  private func report(_ results: [Drawn], _ terminal: Terminal) throws {
    if printsJSON {
      let reports = results.map { Report($0, output: numbered(output, $0.settings.imageIndex).path) }
      return terminal.line(try reports.count == 1 ? jsonText(reports[0]) : jsonText(reports))
    }
    guard !isQuiet, let result = results.first else { return }
    let runs = Stage.allCases.compactMap { stage in result.stages[stage].map { (stage: stage, run: $0) } }
    if let first = runs.first, runs.allSatisfy({ $0.run == first.run }) {
      terminal.line(
        "\(runs.map(\.stage.rawValue).joined(separator: ", ")) on \(first.run.backends.joinedName) (\(first.run.reason))")
    } else {
      for row in runs { terminal.line("\(row.stage.rawValue) on \(row.run.backends.joinedName) (\(row.run.reason))") }
    }
    for result in results {
      let settings = result.settings
      let seed = settings.seed.map { "seed \($0)" } ?? "the given noise"
      // A picture that is named by a relative path is told by it.
      let name = count > 1 ? numbered(output, settings.imageIndex).path : output.relativePath
      terminal.line(
        "\(name): \(settings.width)x\(settings.height), \(settings.steps) steps, "
          + "guidance \(shortNumber(settings.guidanceScale)), \(seed), \(decimals(result.timings.total, 1)) s")
      let statistics = Stage.allCases.compactMap { stage in result.statistics[stage].map { (stage, $0) } }
      stageLines(statistics).forEach(terminal.line)
    }
  }

  private static func source(_ arguments: Arguments) throws -> ImageSource? {
    func fail(_ problem: String) -> ArgumentError { ArgumentError(problem: problem, command: spec.fullName) }
    func picture(_ option: String) throws -> RGBImage? {
      guard let path = arguments.values[option] else { return nil }
      do {
        return try RGBImage(contentsOf: URL(fileURLWithPath: path))
      } catch let error as CocoaError {
        throw fail("\(option) is '\(path)', which cannot be read (\(error.localizedDescription))")
      } catch {
        throw fail("\(option) is '\(path)', but \(error)")
      }
    }
    let strength = try arguments.number("--strength", Double.self, spec)
    guard let image = try picture("--image") else {
      for option in ["--mask", "--resize", "--strength"] where arguments.values[option] != nil {
        throw fail("\(option) has no influence without --image: name the picture to begin with")
      }
      return nil
    }
    return ImageSource(
      image, mask: try picture("--mask"), resizing: arguments.values["--resize"].flatMap(Resizing.init),
      strength: strength ?? ImageSource.defaultStrength)
  }

  /// Before minutes of work: whether the file can be written where it shall be.
  private static func check(_ file: URL) throws {
    try checkFolder(file.deletingLastPathComponent())
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder), isFolder.boolValue {
      throw ArgumentError(problem: "\(file.path) is a folder: name a file", command: spec.fullName)
    }
  }

  private static func checkArray(_ file: URL, option: String) throws {
    guard file.pathExtension.lowercased() == "npy" else { throw badSuffix(file, ".npy", option: option) }
    try check(file)
  }

  private static func badSuffix(_ file: URL, _ expected: String, option: String) -> ArgumentError {
    ArgumentError(
      problem: "\(option) is '\(file.relativePath)', expected a name that ends with \(expected)",
      command: spec.fullName)
  }

  private static func checkFolder(_ folder: URL) throws {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder), isFolder.boolValue else {
      throw ArgumentError(
        problem: "the folder \(folder.path) does not exist: make it, or name another file", command: spec.fullName)
    }
  }

  /// What is told of a picture at the end, without its pixels and latents.
  private struct Drawn {
    let settings: GenerationSettings
    let stages: [Stage: StageRun]
    let timings: Timings
    let statistics: [Stage: StageStatistics]
    let warnings: [String]

    init(_ result: GenerationResult) {
      (settings, stages, timings) = (result.settings, result.stages, result.timings)
      (statistics, warnings) = (result.statistics, result.warnings)
    }
  }

  /// What `--json` prints: the keys of Python's command, the backends once more for scripts, and warnings.
  private struct Report: Encodable {
    let output: String
    let settings: GenerationSettings
    let backends: [String: String]
    let stages: [String: StageRun]
    let timings: [String: Double]
    /// By stage; none: not asked for.
    let statistics: [String: StageStatistics]?
    let warnings: [String]

    init(_ result: Drawn, output: String) {
      self.output = output
      settings = result.settings
      backends = Dictionary(uniqueKeysWithValues: result.stages.map { ($0.rawValue, $1.backends.joinedName) })
      stages = Dictionary(uniqueKeysWithValues: result.stages.map { ($0.rawValue, $1) })
      let seconds = result.timings
      timings = [
        "load": seconds.load, "text_encoder": seconds.textEncoder, "modulation": seconds.modulation,
        "denoiser": seconds.denoiser, "vae": seconds.vae, "total": seconds.total,
      ]
      let statistics = result.statistics.map { ($0.rawValue, $1) }
      self.statistics = statistics.isEmpty ? nil : Dictionary(uniqueKeysWithValues: statistics)
      warnings = result.warnings
    }
  }
}
