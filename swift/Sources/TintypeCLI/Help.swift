/// Help texts, from the same rows that the parser reads.
enum Help {
  /// Columns of a terminal that does not tell, and the most that a line takes of a wider one.
  static let width = 100

  static func text(for spec: CommandSpec, columns: Int? = nil) -> String {
    let width = lineWidth(columns)
    let positionals = spec.positionals.map { $0.isOptional ? " [\($0.name)]" : " \($0.name)" }.joined()
    var lines = ["Usage: \(spec.fullName)\(positionals) [options]", ""]
    lines += wrapped(spec.discussion, indent: 0, width)
    if !spec.positionals.isEmpty {
      lines += ["", "Arguments:"] + table(spec.positionals.map { ($0.name, $0.help) }, width)
    }
    lines += ["", "Options:"] + table(spec.allOptions.map { (label($0), $0.help) }, width)
    if !spec.examples.isEmpty { lines += ["", "Examples:"] + spec.examples.map { "  \($0)" } }
    return lines.joined(separator: "\n")
  }

  static func overview(_ commands: [CommandSpec], columns: Int? = nil) -> String {
    let width = lineWidth(columns)
    let options = [("--version", "Show the version."), ("-h, --help", "Show this help.")]
    let exits = """
      Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the backend is not available on this machine, 130 interrupted.
      """
    let environment = """
      Environment: TINTYPE_CACHE names the folder for converted models, TINTYPE_ENGINE_LIBRARY the MLX engine's file.
      """
    return
      (["Usage: \(CommandLineTool.name) COMMAND …", ""]
      + wrapped("Draw pictures with diffusion transformers on Core ML or MLX.", indent: 0, width)
      + ["", "Commands:"] + table(commands.map { ($0.name, $0.summary) }, width)
      + ["", "Options:"] + table(options, width) + [""] + wrapped(exits, indent: 0, width)
      + wrapped(environment, indent: 0, width))
      .joined(separator: "\n")
  }

  private static func label(_ option: CommandSpec.Option) -> String {
    let value = option.choices.isEmpty ? option.value : option.choices.joined(separator: "|")
    return (option.short.map { "\($0), " } ?? "") + option.name + (value.map { " \($0)" } ?? "")
  }

  /// Narrower than 40, a table's second column would have no room for a word.
  private static func lineWidth(_ columns: Int?) -> Int { min(max(columns ?? width, 40), width) }

  /// Two columns; a label that is too long for the first has its help below it.
  private static func table(_ rows: [(label: String, help: String)], _ width: Int) -> [String] {
    let column = min(30, width / 3, (rows.map(\.label.count).max() ?? 0) + 4)
    return rows.flatMap { row -> [String] in
      let help = wrapped(row.help, indent: column, width)
      let label = "  \(row.label)"
      guard label.count + 2 <= column, let first = help.first else { return [label] + help }
      return [label + first.dropFirst(label.count)] + help.dropFirst()
    }
  }

  static func wrapped(_ text: String, indent: Int, _ width: Int) -> [String] {
    let margin = String(repeating: " ", count: indent)
    var lines: [String] = []
    var line = ""
    for word in text.split(whereSeparator: \.isWhitespace) {
      if line.isEmpty {
        line = margin + word
      } else if line.count + 1 + word.count <= width {
        line += " \(word)"
      } else {
        lines.append(line)
        line = margin + word
      }
    }
    return line.isEmpty ? lines : lines + [line]
  }
}
