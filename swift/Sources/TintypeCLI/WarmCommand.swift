import Foundation
import Tintype

/// `tintype warm`: what takes minutes at the first use on Core ML, done before it.
struct WarmCommand {
  static let spec = CommandSpec(
    name: "warm", summary: "Compile and test a bundle's models ahead of their first use.",
    discussion:
      "Compile and load the models of BUNDLE and run their self-tests, so that the next run starts at once: Core ML "
      + "keeps what it compiles. MLX has nothing to compile.",
    positionals: [.init(name: "BUNDLE", help: "A bundle's folder.")],
    options: [
      .size, .stageBackend, .stageUnits, .timeBox, .quiet,
      .init(name: "--json", help: "Print backends and seconds by component as JSON."),
    ], examples: ["tintype warm sd3.bundle --units ane"])

  private let folder: URL
  private let size: ImageSize?
  private let configuration: PipelineConfiguration
  private let isQuiet: Bool
  private let printsJSON: Bool

  init(_ arguments: Arguments) throws {
    folder = URL(fileURLWithPath: arguments.positionals[0])
    size = try arguments.size(Self.spec)
    var configuration = try arguments.configuration(Self.spec)
    // What was compiled is kept on disk; nothing needs the models here.
    configuration.reduceMemory = true
    self.configuration = configuration
    isQuiet = arguments.has("--quiet")
    printsJSON = arguments.has("--json")
  }

  func run(_ terminal: Terminal) async throws {
    let pipeline = try TextToImagePipeline(bundleAt: folder, configuration: configuration)
    let progress = ProgressLine(terminal, quiet: isQuiet, bar: !printsJSON)
    defer { progress.clear() }
    let warmed = try await pipeline.prewarm(
      size: size,
      onProgress: { state in
        let name = state.component.rawValue
        if state.isCompiling { progress.tellCompiling(name) }
        progress.show("\(state.isCompiling ? "compiling" : "loading") \(name)", state.index, of: state.count)
      }, onWarning: progress.warn)
    progress.clear()
    if printsJSON { return terminal.line(try jsonText(warmed.map(Row.init))) }
    if isQuiet { return }
    let rows = warmed.map {
      let compiled = $0.wasCompiled.map { $0 ? "compiled" : "was compiled" } ?? "-"
      return [
        $0.component.rawValue, decimals($0.duration.seconds, 2), compiled,
        "\($0.run.backends.joinedName) (\($0.run.reason))",
      ]
    }
    tableLines([["component", "seconds", "Core ML", "backend"]] + rows, right: 1..<2).forEach(terminal.line)
  }

  private struct Row: Encodable {
    let component: String
    let backend: String
    let reason: String
    let seconds: Double
    let compiled: Bool?

    private enum CodingKeys: String, CodingKey { case component, backend, reason, seconds, compiled }

    init(_ warmed: WarmedComponent) {
      component = warmed.component.rawValue
      (backend, reason) = (warmed.run.backends.joinedName, warmed.run.reason)
      (seconds, compiled) = (warmed.duration.seconds, warmed.wasCompiled)
    }

    /// With null where Core ML does not run it.
    func encode(to encoder: any Encoder) throws {
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(component, forKey: .component)
      try values.encode(backend, forKey: .backend)
      try values.encode(reason, forKey: .reason)
      try values.encode(seconds, forKey: .seconds)
      try values.encode(compiled, forKey: .compiled)
    }
  }
}
