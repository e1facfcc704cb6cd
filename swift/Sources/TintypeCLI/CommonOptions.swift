import Foundation
import Tintype

/// Options that several commands have, and what they mean.
extension CommandSpec.Option {
  static let model = Self(
    name: "--model", value: "BUNDLE",
    help: "Bundle made by Python's `tintype convert`. [default: the embedded model, once Python has converted it]")
  static let size = Self(
    name: "--size", value: "WxH", help: "One of the sizes that the model was converted for. [default: the model's]")
  static let backend = Self(
    name: "--backend", value: "NAME", choices: BackendChoice.allCases.map(\.rawValue),
    help: "coreml and mlx are strict; auto takes Core ML where it works, else MLX, and says why. [default: auto]")
  static let units = Self(
    name: "--units", value: "NAME", choices: ComputeUnits.allCases.map(\.rawValue),
    help: "What Core ML may use (ane: Neural Engine). MLX ignores it. [default: all]")
  static let stageBackend = backend.orByStage("denoiser=coreml,vae=mlx")
  static let stageUnits = units.orByStage("denoiser=ane,vae=gpu")
  static let timeBox = Self(
    name: "--time-box", value: "SECONDS",
    help: "How long auto waits for Core ML to compile and load a package before MLX takes over; none: without end. "
      + "[default: 300]")
  static let memoryBudget = Self(
    name: "--memory-budget", value: "BYTES",
    help: "Weights that may be loaded at once, such as 6GB, 800MB or 2GiB; the least recently used models make room. "
      + "[default: no limit]")
  static let reduceMemory = Self(
    name: "--reduce-memory", help: "Unload each stage's models when it is done, the text encoders before the denoiser.")
  static let stats = Self(
    name: "--stats", help: "Print time and bytes by kind of op, and the peak of memory. The run takes longer.")
  static let quiet = Self(name: "--quiet", help: "Print nothing but warnings and errors.")
}

extension CommandSpec.Option {
  private func orByStage(_ example: String) -> Self {
    Self(name: name, value: value, choices: choices, isByStage: true, help: "\(help) Or by stage: \(example).")
  }
}

extension Arguments {
  func backend() -> BackendChoice { values["--backend"].flatMap(BackendChoice.init) ?? .auto }

  func units() -> ComputeUnits { values["--units"].flatMap(ComputeUnits.init) ?? .all }

  /// How the pipeline runs.
  func configuration(_ spec: CommandSpec) throws -> PipelineConfiguration {
    PipelineConfiguration(
      backend: perStage(.stageBackend, .auto), units: perStage(.stageUnits, .all), memoryBudget: try memoryBudget(spec),
      reduceMemory: has("--reduce-memory"), timeBox: try timeBox(spec))
  }

  /// The parser has seen that the value is one of the choices, or names them by stage.
  private func perStage<Value: RawRepresentable<String> & Sendable & Equatable>(
    _ option: CommandSpec.Option, _ standard: Value
  ) -> PerStage<Value> {
    let rows = values[option.name].flatMap(option.values) ?? [:]
    let common = rows[""].flatMap { Value(rawValue: $0) } ?? standard
    return PipelineStage.allCases.reduce(.all(common)) { result, stage in
      rows[stage.rawValue].flatMap { Value(rawValue: $0) }.map { result.with(stage, $0) } ?? result
    }
  }

  /// Nil: without end.
  func timeBox(_ spec: CommandSpec) throws -> Duration? {
    guard let text = values["--time-box"] else { return BackendSettings().timeBox }
    if text.lowercased() == "none" { return nil }
    // What is longer than a duration holds is without end too.
    guard let seconds = Double(text), seconds > 0 else {
      throw ArgumentError(
        problem: "--time-box is '\(text)', expected a positive number of seconds, or none", command: spec.fullName)
    }
    return seconds < 1e9 ? .seconds(seconds) : nil
  }

  /// An empty name would stand for the current folder.
  func file(_ name: String, _ spec: CommandSpec) throws -> URL? {
    guard let path = values[name] else { return nil }
    guard !path.isEmpty else {
      throw ArgumentError(problem: "\(name) is '', expected the name of a file or folder", command: spec.fullName)
    }
    return URL(fileURLWithPath: path)
  }

  func size(_ spec: CommandSpec) throws -> ImageSize? {
    guard let text = values["--size"] else { return nil }
    guard let size = ImageSize(text) else {
      throw ArgumentError(
        problem: "--size is '\(text)', expected WIDTHxHEIGHT in pixels, such as 1024x768", command: spec.fullName)
    }
    return size
  }

  /// A whole number of at least 1.
  func count(_ name: String, _ spec: CommandSpec, most: Int, default standard: Int) throws -> Int {
    let value = try number(name, Int.self, spec) ?? standard
    guard (1...most).contains(value) else {
      throw ArgumentError(
        problem: "\(name) is \(value), expected an integer from 1 to \(most)", command: spec.fullName)
    }
    return value
  }

  private func memoryBudget(_ spec: CommandSpec) throws -> Int? {
    guard let text = values["--memory-budget"] else { return nil }
    guard let bytes = byteCount(text) else {
      throw ArgumentError(
        problem: "--memory-budget is '\(text)', expected bytes, such as 6GB, 800MB or 2GiB", command: spec.fullName)
    }
    return bytes
  }
}

/// Reads "1GB", "500MB", "2GiB", "1.5 G" or a number of bytes; nil for anything else, and for none.
func byteCount(_ text: String) -> Int? {
  var word = text.uppercased()[...]
  if word.hasSuffix("B") { word.removeLast() }
  let isBinary = word.hasSuffix("I")
  if isBinary { word.removeLast() }
  let power = word.last.flatMap { ["K": 1, "M": 2, "G": 3][$0] } ?? 0
  if power > 0 { word.removeLast() } else if isBinary { return nil }
  while word.last == " " { word.removeLast() }
  guard word.first?.isNumber == true, word.allSatisfy({ $0.isNumber || $0 == "." }), let number = Double(word) else {
    return nil
  }
  let bytes = (0..<power).reduce(number) { bytes, _ in bytes * (isBinary ? 1024 : 1000) }
  return bytes < 1 ? nil : Int(exactly: bytes.rounded(.down))
}

extension ImageSize {
  /// Reads "1024x768".
  init?(_ text: String) {
    let sides = text.lowercased().split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    guard sides.count == 2, let width = sides[0], let height = sides[1], width >= 0, height >= 0 else { return nil }
    self.init(width: width, height: height)
  }
}

/// Rows as columns of equal width; those in `right` are numbers.
func tableLines(_ rows: [[String]], right: some Collection<Int>) -> [String] {
  let columns = rows.map(\.count).max() ?? 0
  let widths = (0..<columns).map { column in rows.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0
  }
  return rows.map { row in
    let cells = zip(row, widths).enumerated().map { index, cell in
      let space = String(repeating: " ", count: cell.1 - cell.0.count)
      return right.contains(index) ? space + cell.0 : cell.0 + space
    }
    return String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
  }
}
