import Foundation
import Tintype

/// Runs a command line: finds the command, parses, runs, and turns errors into one line and an exit code.
struct CommandLineTool: Sendable {
  static let name = "tintype"

  enum Exit {
    static let done: Int32 = 0
    static let failure: Int32 = 1
    static let usage: Int32 = 2
    static let unavailable: Int32 = 3
    static let interrupted: Int32 = 130
  }

  let terminal: Terminal
  let environment: [String: String]

  private static let commands = [
    GenerateCommand.spec, RunCommand.spec, InspectCommand.spec, WarmCommand.spec, BenchCommand.spec,
    BackendsCommand.spec,
  ]

  /// The exit code; everything that there is to say has been said.
  func run(_ words: [String]) async -> Int32 { await run(words: .success(words)) }

  /// The same of words that may be none.
  func run(words: Result<[String], any Error>) async -> Int32 {
    do {
      try await dispatch(words.get())
      return Exit.done
    } catch {
      if !(error is CancellationError) { terminal.fail(Self.text(error)) } else { terminal.fail("interrupted") }
      return Self.code(error)
    }
  }

  private func dispatch(_ words: [String]) async throws {
    var words = words
    if words.first == "help" { words = Array(words.dropFirst().prefix(1)) + ["--help"] }
    guard let first = words.first, first != "--help", first != "-h" else {
      return terminal.line(Help.overview(Self.commands, columns: terminal.columns))
    }
    if first == "--version" { return terminal.line("\(Self.name) \(tintypeVersion)") }
    guard let spec = Self.commands.first(where: { $0.name == first }) else {
      let kind = first.hasPrefix("-") ? "option" : "command"
      let known = Self.commands.map(\.name) + (kind == "option" ? ["--help", "--version"] : [])
      let hint = suggestion(for: first, among: known).map { "; did you mean \($0)?" } ?? ""
      throw ArgumentError(problem: "there is no \(kind) \(first)\(hint)", command: Self.name)
    }
    let arguments = try Arguments(Array(words.dropFirst()), for: spec)
    if arguments.has(CommandSpec.Option.help.name) {
      return terminal.line(Help.text(for: spec, columns: terminal.columns))
    }
    switch spec.name {
    case GenerateCommand.spec.name:
      try await GenerateCommand(arguments).run(terminal, environment: environment)
    case RunCommand.spec.name: try await RunCommand(arguments).run(terminal)
    case InspectCommand.spec.name: try await InspectCommand(arguments).run(terminal)
    case WarmCommand.spec.name: try await WarmCommand(arguments).run(terminal)
    case BenchCommand.spec.name: try await BenchCommand(arguments).run(terminal, environment: environment)
    default: try BackendsCommand(arguments).run(terminal)
    }
  }

  private static func code(_ error: any Error) -> Int32 {
    switch error {
    case let error as PlacedError: code(error.error)
    case is ArgumentError, is RequestError, is PictureReport.Unreadable: Exit.usage
    case is CancellationError: Exit.interrupted
    case is NothingRuns: Exit.unavailable
    case let error as BackendError where error.kind == .unavailable: Exit.unavailable
    default: Exit.failure
    }
  }

  static func text(_ error: any Error) -> String {
    // Tintype's own errors describe themselves; the system's have a localised sentence.
    switch error {
    case is CocoaError, is POSIXError: CoreMLPlatform.reason(of: error)
    default: "\(error)"
    }
  }
}

/// JSON on standard output, indented, with sorted keys.
func jsonText(_ value: some Encodable) throws -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  return String(decoding: try encoder.encode(value), as: UTF8.self)
}
