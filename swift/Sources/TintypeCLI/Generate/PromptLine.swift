import Foundation
import Tintype

/// One line of prompts: the command line's settings, and what a JSON object says instead.
struct PromptLine {
  var request: GenerationRequest
  private(set) var count: Int
  private(set) var source: SourceNames
  private(set) var output: URL
  private let configuration: PipelineConfiguration
  private let place: String
  private let command: String

  init(_ common: PromptFile.Common, place: String, output: URL) {
    (request, count, source) = (common.request, common.count, common.source)
    (configuration, command) = (common.configuration, common.command)
    (self.place, self.output) = (place, output)
  }

  func fail(_ problem: String) -> ArgumentError { ArgumentError(problem: "\(place): \(problem)", command: command) }

  /// In the order in which errors list them; the names are Python's too.
  private enum Key: String, CaseIterable {
    case prompt
    case negativePrompt = "negative_prompt"
    case steps
    case guidanceScale = "guidance_scale"
    case seed, generator, size, image, mask, resize, strength, count, backend, units
    case useT5 = "use_t5"
    case output
  }

  /// Null takes the default: of the model, or a random seed.
  mutating func take(_ row: [String: JSONValue]) throws {
    let known = Key.allCases.map(\.rawValue)
    let unknown = row.keys.sorted().first { !known.contains($0) }
    guard unknown == nil, row[Key.prompt.rawValue] != nil else {
      let what = unknown.map { "'\($0)' is not known" } ?? "there is no prompt"
      throw fail("\(what), expected keys among \(known.joined(separator: ", "))")
    }
    for key in Key.allCases { if let value = row[key.rawValue] { try set(key, value) } }
  }

  private mutating func set(_ key: Key, _ value: JSONValue) throws {
    switch key {
    case .prompt: request.prompt = try text(key, value)
    case .negativePrompt: request.negativePrompt = try text(key, value)
    case .steps: request.steps = try optional(value) { try integer(key, $0) }
    case .guidanceScale:
      request.guidanceScale = try optional(value) { try number(key, $0) }
      if let scale = request.guidanceScale, scale < 0 {
        throw bad(key, value, "a number of at least 0 (1 or less: no guidance)")
      }
    case .seed: request.seed = try optional(value) { try seed($0) }
    case .generator: request.generator = try choice(key, value)
    case .size: request.size = try optional(value) { try size($0) }
    case .image: source.image = try optional(value) { try text(key, $0) }
    case .mask: source.mask = try optional(value) { try text(key, $0) }
    case .resize: source.resizing = try optional(value) { try choice(key, $0) }
    case .strength: source.strength = try optional(value) { try number(key, $0) }
    case .count:
      count = try integer(key, value)
      guard (1...RequestError.mostPictures).contains(count) else {
        throw bad(key, value, "an integer from 1 to \(RequestError.mostPictures)")
      }
    case .backend: request.backend = try optional(value) { try stages(key, $0, configuration.backend) }
    case .units: request.units = try optional(value) { try stages(key, $0, configuration.units) }
    case .useT5:
      guard case .bool(let flag) = value else { throw bad(key, value, "true or false") }
      request.useT5 = flag
    case .output:
      guard case .string(let name) = value, !name.isEmpty else { throw bad(key, value, "a file's name") }
      output =
        name.hasPrefix("/")
        ? URL(fileURLWithPath: name) : output.deletingLastPathComponent().appendingPathComponent(name)
    }
  }

  private func bad(_ key: Key, _ value: JSONValue, _ expected: String) -> ArgumentError {
    let json = (try? JSONEncoder().encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    return fail("\(key.rawValue) is \(json.count > 80 ? json.prefix(77) + "..." : json[...]), expected \(expected)")
  }

  private func optional<Value>(_ value: JSONValue, _ read: (JSONValue) throws -> Value) rethrows -> Value? {
    value == .null ? nil : try read(value)
  }

  private func text(_ key: Key, _ value: JSONValue) throws -> String {
    guard case .string(let text) = value else { throw bad(key, value, "a string") }
    return text
  }

  private func integer(_ key: Key, _ value: JSONValue) throws -> Int {
    guard case .integer(let number) = value else { throw bad(key, value, "an integer") }
    return number
  }

  private func number(_ key: Key, _ value: JSONValue) throws -> Double {
    switch value {
    case .integer(let number): return Double(number)
    case .number(let number): return number
    default: throw bad(key, value, "a number")
    }
  }

  private func seed(_ value: JSONValue) throws -> UInt32 {
    guard case .integer(let number) = value, let seed = UInt32(exactly: number) else {
      throw bad(.seed, value, "an integer from 0 to \(UInt32.max)")
    }
    return seed
  }

  private func choice<Value: RawRepresentable<String> & CaseIterable>(_ key: Key, _ value: JSONValue) throws -> Value {
    guard case .string(let name) = value, let choice = Value(rawValue: name) else {
      throw bad(key, value, "one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return choice
  }

  /// "1024x768", or [1024, 768].
  private func size(_ value: JSONValue) throws -> ImageSize {
    switch value {
    case .string(let text):
      if let size = ImageSize(text) { return size }
    case .array(let sides):
      if sides.count == 2, case .integer(let width) = sides[0], case .integer(let height) = sides[1] {
        return ImageSize(width: width, height: height)
      }
    default: break
    }
    throw bad(.size, value, "WIDTHxHEIGHT such as 1024x768")
  }

  /// One for all stages, or an object with some stages' own.
  private func stages<Value: RawRepresentable<String> & CaseIterable & Sendable & Equatable>(
    _ key: Key, _ value: JSONValue, _ others: PerStage<Value>
  ) throws -> PerStage<Value> {
    guard case .object(let rows) = value else { return .all(try choice(key, value)) }
    return try rows.reduce(others) { result, row in
      guard let stage = PipelineStage(rawValue: row.key) else {
        throw bad(key, value, "stages among \(PipelineStage.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      return result.with(stage, try choice(key, row.value))
    }
  }
}
