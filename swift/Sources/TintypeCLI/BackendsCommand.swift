import Foundation
import Tintype

/// `tintype backends`: what runs on this machine, and why the rest does not.
struct BackendsCommand {
  static let spec = CommandSpec(
    name: "backends", summary: "Show which backends run here, and why the others do not.",
    discussion: "Show which backends run on this machine, and why the others do not.", positionals: [],
    options: [.init(name: "--json", help: "Print the rows as JSON.")])

  private let printsJSON: Bool

  init(_ arguments: Arguments) {
    printsJSON = arguments.has("--json")
  }

  func run(_ terminal: Terminal) throws {
    let rows = BackendKind.allCases.map(Row.init)
    if printsJSON { return terminal.line(try jsonText(rows)) }
    for row in rows {
      let name = row.name.padding(toLength: 7, withPad: " ", startingAt: 0)
      terminal.line(
        row.available ? "\(name) available      \(row.detailsText)" : "\(name) not available  \(row.reason)")
    }
  }

  private struct Row: Encodable {
    let name: String
    let available: Bool
    /// Empty for a backend that runs.
    let reason: String
    let details: [String: JSONValue]

    init(_ kind: BackendKind) {
      name = kind.rawValue
      do {
        let choice = BackendChoice(rawValue: kind.rawValue) ?? .auto
        try choice.makeBackend().checkAvailability()
        (available, reason) = (true, "")
        details = kind == .mlx ? Self.engineDetails() : Self.coreMLDetails()
      } catch {
        (available, reason, details) = (false, "\(error)", [:])
      }
    }

    var detailsText: String {
      details.sorted { $0.key < $1.key }.filter { $0.key != "name" }.map { key, value in
        "\(key.replacingOccurrences(of: "_", with: " ")) \(Self.text(value))"
      }
      .joined(separator: "; ")
    }

    private static func engineDetails() -> [String: JSONValue] {
      let json = (try? EngineLibrary.open())?.descriptionJSON ?? "{}"
      return (try? JSONDecoder().decode([String: JSONValue].self, from: Data(json.utf8))) ?? [:]
    }

    private static func coreMLDetails() -> [String: JSONValue] {
      [
        "name": .string(BackendKind.coreml.rawValue), "version": .string(tintypeVersion),
        "os": .string(ProcessInfo.processInfo.operatingSystemVersionString),
        "device": .object([
          "kind": .string(CoreMLPlatform.deviceKind), "name": .string(CoreMLPlatform.deviceName),
        ]),
        "implementation": .string(CoreMLPlatform.implementation),
        "compute_units": .array(CoreMLPlatform.computeUnits.map { .string($0.rawValue) }),
      ]
    }

    private static func text(_ value: JSONValue) -> String {
      switch value {
      case .string(let text): text
      case .integer(let number): "\(number)"
      case .number(let number): "\(number)"
      case .bool(let flag): "\(flag)"
      case .null: "unknown"
      case .array(let values): values.map(text).joined(separator: ", ")
      case .object(let rows): rows.sorted { $0.key < $1.key }.map { text($1) }.joined(separator: ", ")
      }
    }
  }
}
