import Tintype

/// What a command takes, as rows: the parser and the help text read the same ones.
struct CommandSpec: Sendable {
  /// Without the program's name, "generate".
  let name: String
  /// One line for the list of commands.
  let summary: String
  /// A paragraph for the command's own help.
  let discussion: String
  let positionals: [Positional]
  let options: [Option]
  var examples: [String] = []

  var fullName: String { "\(CommandLineTool.name) \(name)" }

  struct Positional: Sendable {
    let name: String
    let help: String
    /// Options that take its place.
    var unless: [String] = []
    /// May be left out.
    var isOptional = false
  }

  struct Option: Sendable {
    /// With its dashes, "--steps".
    let name: String
    var short: String?
    /// What the value is called in help; nil: a flag.
    var value: String?
    /// The only values allowed; empty: any.
    var choices: [String] = []
    /// Whether STAGE=CHOICE, with commas between, may take a choice's place.
    var isByStage = false
    /// May be given several times, each adding a value.
    var isRepeatable = false
    let help: String

    static let help = Option(name: "--help", short: "-h", help: "Show this help.")

    /// What a value says of each stage, or under "" of all of them; nil where it says something else.
    func values(_ value: String) -> [String: String]? {
      guard isByStage, value.contains("=") else { return choices.contains(value) ? ["": value] : nil }
      var rows: [String: String] = [:]
      for row in value.split(separator: ",", omittingEmptySubsequences: false) {
        let parts = row.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, PipelineStage(rawValue: parts[0]) != nil, choices.contains(parts[1]) else { return nil }
        rows[parts[0]] = parts[1]
      }
      return rows
    }
  }

  /// `options` with `--help`.
  var allOptions: [Option] { options + [.help] }

  func option(_ name: String) -> Option? { allOptions.first { $0.name == name || $0.short == name } }
}

/// A parsed command line.
struct Arguments: Equatable {
  var positionals: [String] = []
  var values: [String: String] = [:]
  /// All values of the options that may be repeated, in order.
  var lists: [String: [String]] = [:]
  var flags: Set<String> = []

  /// Options may stand anywhere, as `--name value`, `--name=value` or `-n value`; after `--` all is positional. Of
  /// what is repeated the last one counts, but for options that add up.
  init(_ words: [String], for spec: CommandSpec) throws {
    var rest = words[...]
    func fail(_ problem: String) -> ArgumentError { ArgumentError(problem: problem, command: spec.fullName) }
    while let word = rest.popFirst() {
      if word == "--" {
        positionals += rest
        break
      }
      // "-" alone and negative numbers are values.
      guard word.hasPrefix("-"), word != "-", Double(word) == nil else {
        positionals.append(word)
        continue
      }
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard let option = spec.option(parts[0]) else {
        let known = spec.allOptions.map(\.name)
        let hint = suggestion(for: parts[0], among: known).map { "; did you mean \($0)?" } ?? ""
        throw fail("there is no option \(parts[0])\(hint)")
      }
      guard let placeholder = option.value else {
        guard parts.count == 1 else { throw fail("\(option.name) takes no value, got '\(parts[1])'") }
        flags.insert(option.name)
        continue
      }
      let value: String
      if parts.count == 2 {
        value = parts[1]
      } else if let next = rest.first, spec.option(next) == nil, next != "--" {
        value = next
        rest = rest.dropFirst()
      } else {
        throw fail("\(option.name) needs a value: \(option.name) \(placeholder)")
      }
      if !option.choices.isEmpty, option.values(value) == nil {
        let stages = PipelineStage.allCases.map(\.rawValue).joined(separator: ", ")
        let others = option.isByStage ? ", or STAGE=VALUE with commas between, for stages among \(stages)" : ""
        throw fail("\(option.name) is '\(value)', expected one of \(option.choices.joined(separator: ", "))\(others)")
      }
      values[option.name] = value
      if option.isRepeatable { lists[option.name, default: []].append(value) }
    }
    // Help is given however incomplete the rest is.
    if flags.contains(CommandSpec.Option.help.name) { return }
    let missing = spec.positionals.dropFirst(positionals.count).first
    if let missing, !missing.isOptional, missing.unless.allSatisfy({ values[$0] == nil }) {
      throw fail("\(missing.name) is missing")
    }
    if positionals.count > spec.positionals.count {
      let extra = positionals[spec.positionals.count]
      throw fail("'\(extra)' is one argument too many; put quotes around a text with spaces")
    }
  }

  func has(_ flag: String) -> Bool { flags.contains(flag) }

  /// The value of an option as an integer or a number.
  func number<Number: LosslessStringConvertible>(
    _ name: String, _ type: Number.Type, _ spec: CommandSpec
  ) throws -> Number? {
    guard let text = values[name] else { return nil }
    guard let number = Number(text), (number as? Double)?.isFinite ?? true else {
      let expected =
        type == UInt32.self
        ? "an integer from 0 to \(UInt32.max)" : type == Int.self ? "an integer" : "a number"
      throw ArgumentError(problem: "\(name) is '\(text)', expected \(expected)", command: spec.fullName)
    }
    return number
  }
}
