import Foundation

/// Where a command writes: results to standard output, progress, warnings and errors to standard error.
struct Terminal: Sendable {
  let output: @Sendable (String) -> Void
  let error: @Sendable (String) -> Void
  /// Whether a progress line makes sense.
  let showsProgress: Bool
  /// Nil: nobody told.
  var columns: Int?

  static func standard(environment: [String: String]) -> Terminal {
    Terminal(
      output: { text in
        guard let reason = write(text, to: STDOUT_FILENO) else { return }
        write("\(CommandLineTool.name): error: standard output cannot be written (\(reason))\n", to: STDERR_FILENO)
        exit(CommandLineTool.Exit.failure)
      },
      error: { write($0, to: STDERR_FILENO) },
      showsProgress: isatty(STDERR_FILENO) == 1, columns: columns(environment))
  }

  /// What COLUMNS says, else the terminal itself.
  private static func columns(_ environment: [String: String]) -> Int? {
    if let told = environment["COLUMNS"].flatMap(Int.init), told > 0 { return told }
    for descriptor in [STDOUT_FILENO, STDERR_FILENO] {
      var size = winsize()
      if ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
    }
    return nil
  }

  /// Standard streams that the caller closed become the null device: the next file that is opened would take their
  /// number, and get what is written to them.
  static func openMissingStreams() {
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
      let null = open("/dev/null", O_RDWR)
      if null >= 0, null != descriptor {
        dup2(null, descriptor)
        close(null)
      }
    }
  }

  /// The system's reason where the text cannot be written; nil also where nobody reads any more, as after `| head`.
  @discardableResult
  private static func write(_ text: String, to descriptor: Int32) -> String? {
    let failure = Array(text.utf8).withUnsafeBytes { bytes -> Int32 in
      var done = 0
      while done < bytes.count {
        let count = Foundation.write(descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done)
        if count < 0, errno != EINTR { return errno }
        done += max(0, count)
      }
      return 0
    }
    return failure == 0 || failure == EPIPE ? nil : String(cString: strerror(failure))
  }

  func line(_ text: String) { output(text + "\n") }

  func warn(_ text: String) { error("\(CommandLineTool.name): warning: \(Self.oneLine(text))\n") }

  /// Neither result nor warning: what takes time, for those who wonder.
  func tell(_ text: String) { error("\(CommandLineTool.name): \(Self.oneLine(text))\n") }

  /// Core ML compiles a model.
  func tellCompiling(_ name: String) { tell("compiling \(name) for Core ML (first run; minutes for a large model)") }

  func fail(_ text: String) { error("\(CommandLineTool.name): error: \(Self.oneLine(text))\n") }

  private static func oneLine(_ text: String) -> String {
    text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
  }
}

/// One line on standard error that is written over: "drawing  [#####.....]  3/6". What is told and warned of meanwhile
/// stays above it.
struct ProgressLine {
  private let terminal: Terminal
  private let isShown: Bool
  private let isQuiet: Bool

  private static let width = 24

  /// - Parameter quiet: warnings alone are shown.
  init(_ terminal: Terminal, quiet: Bool, bar: Bool = true) {
    self.terminal = terminal
    isQuiet = quiet
    isShown = terminal.showsProgress && !quiet && bar
  }

  func warn(_ text: String) {
    clear()
    terminal.warn(text)
  }

  func tellCompiling(_ name: String) {
    if isQuiet { return }
    clear()
    terminal.tellCompiling(name)
  }

  func show(_ what: String, _ done: Int, of total: Int) {
    guard isShown else { return }
    let filled = total > 0 ? Self.width * min(done, total) / total : 0
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: Self.width - filled)
    terminal.error("\r\u{1B}[K\(fitting("\(what)  [\(bar)]  \(done)/\(total)"))")
  }

  /// What a terminal breaks into two lines would stay there, since only the last one is written over.
  private func fitting(_ line: String) -> String {
    guard let columns = terminal.columns, line.count >= columns else { return line }
    return String(line.prefix(max(columns - 1, 0)))
  }

  func clear() {
    if isShown { terminal.error("\r\u{1B}[K") }
  }
}
