import Foundation
import Tintype

/// `tintype generate`: a prompt in, a picture out; of a file of prompts, one or more a line.
struct GenerateCommand {
  private let model: URL?
  private let jobs: [DrawingJob]
  private let configuration: PipelineConfiguration
  private let repeatWarnings: [String]
  private let output: URL
  private let arrays: ArrayFiles
  private let previewFolder: URL?
  private let hasPromptFile: Bool
  private let resumes: Bool
  private let isQuiet: Bool
  private let printsJSON: Bool

  init(_ arguments: Arguments) throws {
    model = try arguments.file("--model", Self.spec)
    output = try arguments.file("--output", Self.spec) ?? URL(fileURLWithPath: "out.png")
    arrays = try ArrayFiles(arguments, Self.spec)
    previewFolder = try arguments.file("--preview-folder", Self.spec)
    resumes = arguments.has("--resume")
    isQuiet = arguments.has("--quiet")
    printsJSON = arguments.has("--json")
    configuration = try arguments.configuration(Self.spec)
    let prompts = arguments.values["--prompt-file"]
    hasPromptFile = prompts != nil
    func fail(_ problem: String) -> ArgumentError { ArgumentError(problem: problem, command: Self.spec.fullName) }
    if hasPromptFile, !arguments.positionals.isEmpty || arguments.values["--from"] != nil {
      throw fail("--prompt-file names all prompts: leave PROMPT and --from out")
    }
    if resumes, !hasPromptFile {
      throw fail("--resume leaves out what --prompt-file has drawn: name a file of prompts, or leave it out")
    }
    if hasPromptFile, !arrays.isEmpty {
      throw fail("--latents-out and --noise-out are of one PROMPT: leave --prompt-file out, or them")
    }
    let settings = try Self.settings(arguments)
    repeatWarnings = settings?.cannotRepeat ?? []
    var request = try Self.request(settings.map(GenerationRequest.init(repeating:)), arguments)
    let count = try arguments.number("--count", Int.self, Self.spec) ?? 1
    let source = SourceNames(
      image: arguments.values["--image"], mask: arguments.values["--mask"],
      resizing: arguments.values["--resize"].flatMap(Resizing.init),
      strength: try arguments.number("--strength", Double.self, Self.spec))
    if let prompts {
      let common = PromptFile.Common(
        request: request, count: count, source: source, configuration: configuration, output: output,
        command: Self.spec.fullName)
      jobs = try PromptFile(prompts, common: common).jobs()
    } else {
      request.source = try source.source(PictureFiles(), place: "--", command: Self.spec.fullName)
      jobs = [DrawingJob(request: request, count: count, output: output, place: nil)]
    }
  }

  /// The request of a picture, or a new one, with what the command line says.
  private static func request(_ known: GenerationRequest?, _ arguments: Arguments) throws -> GenerationRequest {
    var request = known ?? GenerationRequest("")
    if let prompt = arguments.positionals.first { request.prompt = prompt }
    if let text = arguments.values["--negative-prompt"] { request.negativePrompt = text }
    if let steps = try arguments.number("--steps", Int.self, spec) { request.steps = steps }
    if let scale = try arguments.number("--guidance-scale", Double.self, spec) {
      guard scale >= 0 else {
        throw ArgumentError(
          problem: "--guidance-scale is \(shortNumber(scale)), expected a number of at least 0 "
            + "(1 or less: no guidance)",
          command: spec.fullName)
      }
      request.guidanceScale = scale
    }
    if let seed = try arguments.number("--seed", UInt32.self, spec) { request.seed = seed }
    if let generator = arguments.values["--generator"].flatMap(NoiseGenerator.init) { request.generator = generator }
    if let size = try arguments.size(spec) { request.size = size }
    if arguments.has("--no-t5") { request.useT5 = false }
    request.collectsStatistics = arguments.has("--stats")
    request.previewInterval = arguments.values["--preview-folder"] == nil ? nil : 1
    return request
  }

  private static func settings(_ arguments: Arguments) throws -> GenerationSettings? {
    guard let path = arguments.values["--from"] else { return nil }
    do {
      return try GenerationSettings(png: Data(contentsOf: URL(fileURLWithPath: path)))
    } catch let error as CocoaError {
      throw ArgumentError(
        problem: "--from is '\(path)', which cannot be read (\(CoreMLPlatform.reason(of: error)))",
        command: spec.fullName)
    } catch {
      throw ArgumentError(problem: "--from is '\(path)', but \(error)", command: spec.fullName)
    }
  }

  func run(_ terminal: Terminal, environment: [String: String]) async throws {
    for job in jobs { try job.told { try Self.checkPicture(job.output) } }
    try arrays.check(picture: output, Self.spec)
    if let previewFolder { try OutputFile.checkFolder(previewFolder, Self.spec, orName: "another one") }
    repeatWarnings.forEach(terminal.warn)
    let folder = try model ?? EmbeddedModel.folder(environment: environment)
    let pipeline = try TextToImagePipeline(bundleAt: folder, configuration: configuration)
    for job in jobs { try job.told { try pipeline.check(job.request, count: job.count) } }
    let progress = ProgressLine(terminal, quiet: isQuiet, bar: !printsJSON)
    defer { progress.clear() }
    let left = resumes ? jobs.filter { !Self.isDrawn($0) } : jobs
    var drawn: [DrawnPicture] = []
    do {
      for (index, job) in left.enumerated() {
        let label = left.count > 1 ? "\(index + 1) of \(left.count): " : ""
        try await draw(job, label, of: pipeline, progress) { drawn.append($0) }
      }
    } catch {
      progress.clear()
      if left.count > 1, !drawn.isEmpty {
        let total = left.reduce(0) { $0 + $1.count }
        terminal.tell("\(drawn.count) of \(total) pictures are drawn; with --resume the same command goes on")
      }
      throw error
    }
    progress.clear()
    if printsJSON { return terminal.line(try DrawnPicture.json(drawn, isList: hasPromptFile)) }
    if isQuiet { return }
    if left.count < jobs.count { terminal.line("\(jobs.count - left.count) of \(jobs.count) were drawn already") }
    DrawnPicture.lines(drawn).forEach(terminal.line)
  }

  /// Draws a job's pictures. They are written as they come: those that are done stay if a later one fails.
  private func draw(
    _ job: DrawingJob, _ label: String, of pipeline: TextToImagePipeline, _ progress: ProgressLine,
    done: (DrawnPicture) -> Void
  ) async throws {
    do {
      progress.show(label + "reading the prompt", 0, of: 1)
      for try await event in try pipeline.events(job.request, count: job.count) {
        switch event {
        case .compiling(let component): progress.tellCompiling(component.rawValue)
        case .warning(let text): progress.warn(job.place.map { "\($0): \(text)" } ?? text)
        case .conditioned(let start): progress.show(label + "drawing", 0, of: start.schedule.timesteps.count)
        case .step(let step):
          progress.show(label + (step.number == step.steps ? "decoding" : "drawing"), step.number, of: step.steps)
          try writePreview(step, job)
        case .done(let result):
          progress.clear()
          done(try write(result, job))
        }
      }
      // A cancelled stream ends without an error.
      try Task.checkCancellation()
    } catch {
      throw job.placed(error)
    }
  }

  private func write(_ result: GenerationResult, _ job: DrawingJob) throws -> DrawnPicture {
    let file = job.output(of: result.settings.imageIndex)
    try result.write(to: file)
    try arrays.write(result, of: job)
    return DrawnPicture(result, path: file.givenPath)
  }

  /// step-01.png, or 2-step-01.png of the second of several pictures; of several prompts, their number before it.
  private func writePreview(_ step: GenerationEvent.Step, _ job: DrawingJob) throws {
    guard let previewFolder, let preview = step.preview else { return }
    func padded(_ number: Int, _ most: Int) -> String {
      String(repeating: "0", count: max(0, "\(most)".count - "\(number)".count)) + "\(number)"
    }
    let place =
      jobs.count > 1 ? jobs.firstIndex { $0.place == job.place }.map { "\(padded($0 + 1, jobs.count))-" } : nil
    let picture = job.count > 1 ? "\(step.imageIndex + 1)-" : ""
    let name = "\(place ?? "")\(picture)step-\(padded(step.number, step.steps)).png"
    try AtomicFile.write(PNG.encode(preview), to: previewFolder.appendingPathComponent(name))
  }

  private static func isDrawn(_ job: DrawingJob) -> Bool {
    job.outputs.allSatisfy { file in
      var isFolder: ObjCBool = false
      return FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder) && !isFolder.boolValue
    }
  }

  private static func checkPicture(_ file: URL) throws {
    do { _ = try PictureFormat(writing: file) } catch {
      let suffixes = PictureFormat.writableSuffixes.joined(separator: " or ")
      throw ArgumentError(
        problem: "--output is '\(file.givenPath)', expected a name that ends with \(suffixes)", command: spec.fullName)
    }
    try OutputFile.check(file, spec)
  }
}
