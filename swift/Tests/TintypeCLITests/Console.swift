import Foundation
import TestSupport
import Tintype

@testable import TintypeCLI

/// Runs a command line and keeps what it writes.
final class Console: Sendable {
  private let written = Locked<(output: String, error: String)>(("", ""))
  private let temporary: TemporaryFolder

  init() throws { temporary = try TemporaryFolder() }

  var folder: URL { temporary.url }
  var output: String { written.withLock(\.output) }
  var error: String { written.withLock(\.error) }

  func run(
    _ words: [String], environment: [String: String] = [:], showsProgress: Bool = false
  ) async -> Int32 {
    let terminal = Terminal(
      output: { [written] text in written.withLock { $0.output += text } },
      error: { [written] text in written.withLock { $0.error += text } }, showsProgress: showsProgress)
    return await CommandLineTool(terminal: terminal, environment: environment).run(words)
  }

  func path(_ name: String) -> String { folder.appendingPathComponent(name).path }
}
