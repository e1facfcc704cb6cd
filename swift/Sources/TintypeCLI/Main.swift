import Dispatch
import Foundation
import Tintype

@main
struct Main {
  static func main() async {
    let tool = CommandLineTool(terminal: .standard, environment: ProcessInfo.processInfo.environment)
    let task = Task { await tool.run(Array(CommandLine.arguments.dropFirst())) }
    // Ctrl-C ends the run before its next model call; a second one ends the process at once.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGINT, SIG_IGN)
    let interrupts = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
    interrupts.setEventHandler { @Sendable in
      signal(SIGINT, SIG_DFL)
      task.cancel()
    }
    interrupts.resume()
    let code = await task.value
    interrupts.cancel()
    exit(code)
  }
}
