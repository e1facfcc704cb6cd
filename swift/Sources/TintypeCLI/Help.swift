/// Help texts, from the same rows that the parser reads.
enum Help {
  static let width = 100

  static func text(for spec: CommandSpec) -> String {
    let positionals = spec.positionals.map { $0.isOptional ? " [\($0.name)]" : " \($0.name)" }.joined()
    var lines = ["Usage: \(spec.fullName)\(positionals) [options]", ""]
    lines += wrapped(spec.discussion, indent: 0)
    if !spec.positionals.isEmpty {
      lines += ["", "Arguments:"] + table(spec.positionals.map { ($0.name, $0.help) })
    }
    lines += ["", "Options:"] + table(spec.allOptions.map { (label($0), $0.help) })
    if !spec.examples.isEmpty { lines += ["", "Examples:"] + spec.examples.map { "  \($0)" } }
    return lines.joined(separator: "\n")
  }

  static func overview(_ commands: [CommandSpec]) -> String {
    let options = [("--version", "Show the version."), ("-h, --help", "Show this help.")]
    let exits = """
      Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the backend is not available on this machine, 130 interrupted.
      """
    let environment = """
      Environment: TINTYPE_CACHE names the folder for converted models, TINTYPE_ENGINE_LIBRARY the MLX engine's file.
      """
    return
      (["Usage: \(CommandLineTool.name) COMMAND …", ""]
      + wrapped("Draw pictures with diffusion transformers on Core ML or MLX.", indent: 0)
      + ["", "Commands:"] + table(commands.map { ($0.name, $0.summary) })
      + ["", "Options:"] + table(options) + [""] + wrapped(exits, indent: 0) + wrapped(environment, indent: 0))
      .joined(separator: "\n")
  }

  private static func label(_ option: CommandSpec.Option) -> String {
    let value = option.choices.isEmpty ? option.value : option.choices.joined(separator: "|")
    return (option.short.map { "\($0), " } ?? "") + option.name + (value.map { " \($0)" } ?? "")
  }

  /// Two columns; a label that is too long for the first has its help below it.
  private static func table(_ rows: [(label: String, help: String)]) -> [String] {
    let column = min(30, (rows.map(\.label.count).max() ?? 0) + 4)
    return rows.flatMap { row -> [String] in
      let help = wrapped(row.help, indent: column)
      let label = "  \(row.label)"
      guard label.count + 2 <= column, let first = help.first else { return [label] + help }
      return [label + first.dropFirst(label.count)] + help.dropFirst()
    }
  }

  static func wrapped(_ text: String, indent: Int) -> [String] {
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
