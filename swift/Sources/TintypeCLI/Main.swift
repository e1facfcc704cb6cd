import Foundation
import Tintype

@main
struct Main {
  static func main() async {
    Terminal.openMissingStreams()
    let environment = ProcessInfo.processInfo.environment
    let tool = CommandLineTool(terminal: .standard(environment: environment), environment: environment)
    signal(SIGPIPE, SIG_IGN)
    let task = Task { await tool.run(words: Result { try words() }) }
    let signals = EndingSignals(cancelling: task)
    let code = await task.value
    signals.stop()
    exit(code)
  }

  /// The arguments. Those that are no UTF-8 would reach `CommandLine.arguments` with other characters in their place.
  private static func words() throws -> [String] {
    try (1..<max(Int(CommandLine.argc), 1)).compactMap { index in
      guard let bytes = CommandLine.unsafeArgv[index] else { return nil }
      guard let word = String(validatingCString: bytes) else {
        throw ArgumentError(
          problem: "argument \(index), '\(String(cString: bytes))', is no text in UTF-8", command: CommandLineTool.name)
      }
      return word
    }
  }
}
