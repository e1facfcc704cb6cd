import Foundation

/// Where a command writes: results to standard output, progress, warnings and errors to standard error.
struct Terminal: Sendable {
  let output: @Sendable (String) -> Void
  let error: @Sendable (String) -> Void
  /// Whether a progress line makes sense.
  let showsProgress: Bool

  static var standard: Terminal {
    Terminal(
      output: { FileHandle.standardOutput.write(Data($0.utf8)) },
      error: { FileHandle.standardError.write(Data($0.utf8)) },
      showsProgress: isatty(STDERR_FILENO) == 1)
  }

  func line(_ text: String) { output(text + "\n") }

  func warn(_ text: String) { error("\(CommandLineTool.name): warning: \(Self.oneLine(text))\n") }

  func fail(_ text: String) { error("\(CommandLineTool.name): error: \(Self.oneLine(text))\n") }

  private static func oneLine(_ text: String) -> String {
    text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
  }
}

/// One line on standard error that is written over: "drawing  [#####.....]  3/6".
struct ProgressLine {
  private let terminal: Terminal
  private let isShown: Bool

  private static let width = 24

  init(_ terminal: Terminal, quiet: Bool) {
    self.terminal = terminal
    isShown = terminal.showsProgress && !quiet
  }

  func show(_ what: String, _ done: Int, of total: Int) {
    guard isShown else { return }
    let filled = total > 0 ? Self.width * min(done, total) / total : 0
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: Self.width - filled)
    terminal.error("\r\u{1B}[K\(what)  [\(bar)]  \(done)/\(total)")
  }

  func clear() {
    if isShown { terminal.error("\r\u{1B}[K") }
  }
}
