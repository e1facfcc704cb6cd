import Foundation
import TintypeBackends

/// A bundle on disk: its checked description and where it lies.
///
/// bundle.json ─► format and version known? ─► `BundleDescriptor` ─► values and paths checked ─► folders there?
public struct ModelBundle: Sendable {
  /// What `bundle.json` says, checked.
  public let descriptor: BundleDescriptor
  /// Where the bundle lies; the descriptor's paths begin here.
  public let folder: URL

  /// Reads and checks the bundle in a folder. Throws `BundleError`.
  public init(at folder: URL) throws {
    let file = folder.appendingPathComponent(BundleNames.file)
    let isFolder = try? folder.resourceValues(forKeys: [.isDirectoryKey]).isDirectory
    guard isFolder == true else {
      throw isFolder == nil ? BundleError.noFolder(path: folder.path) : .notAFolder(path: folder.path)
    }
    guard FileManager.default.fileExists(atPath: file.path) else { throw BundleError.notABundle(path: folder.path) }
    let data: Data
    do {
      data = try Data(contentsOf: file)
    } catch {
      throw BundleError.malformed(
        file: file.path, key: "", reason: "it cannot be read (\(CoreMLPlatform.reason(of: error)))")
    }
    let descriptor = try Self.decode(data, file: file.path)
    for (key, path) in Self.paths(descriptor) {
      let entry = folder.appendingPathComponent(path)
      // Self-tests and the map for previews are files, all else are folders.
      let isFolder = try? entry.resourceValues(forKeys: [.isDirectoryKey]).isDirectory
      guard isFolder == !(key.hasSuffix("self_test.path") || key == "preview.path") else {
        throw BundleError.missingFolder(file: file.path, key: key, path: path)
      }
    }
    self.descriptor = descriptor
    self.folder = folder
  }

  /// Where a component's packages lie, in running order: one, or its chunks.
  public func packages(_ component: PipelineComponent) throws -> [URL] {
    try descriptor.component(component).paths.map(folder.appendingPathComponent)
  }

  /// The recorded prediction that a component must reproduce; nil where the bundle has none. Throws `BundleError`.
  public func selfTest(_ component: PipelineComponent) throws -> SelfTest? {
    guard let row = try descriptor.component(component).selfTest else { return nil }
    let file = folder.appendingPathComponent(row.path)
    let tensors = try Safetensors(file).tensors
    func named(_ prefix: String) -> [String: Tensor] {
      tensors.reduce(into: [:]) {
        if $1.key.hasPrefix(prefix) { $0[String($1.key.dropFirst(prefix.count))] = $1.value }
      }
    }
    let (inputs, expected) = (named("input."), named("expected."))
    guard !inputs.isEmpty, !expected.isEmpty else {
      throw BundleError.damagedTensors(file: file.path, reason: "it has no tensors input.NAME and expected.NAME")
    }
    return SelfTest(inputs: inputs, expected: expected, tolerance: Float(row.tolerance), function: row.function)
  }

  /// Checks the contents of `bundle.json`; `file` is only named in errors.
  package static func decode(_ data: Data, file: String) throws -> BundleDescriptor {
    do {
      let header = try JSONDecoder().decode(Header.self, from: data)
      guard header.format == BundleNames.format else {
        throw BundleError.wrongFormat(file: file, found: header.format)
      }
      guard header.formatVersion == BundleNames.formatVersion else {
        throw BundleError.unknownVersion(
          file: file, found: header.formatVersion, supported: BundleNames.formatVersion)
      }
      let descriptor = try JSONDecoder().decode(BundleDescriptor.self, from: data)
      try BundleChecks(descriptor: descriptor, file: file).run()
      return descriptor
    } catch let error as UnlistedValue {
      let expected = "one of \(error.expected.joined(separator: ", "))"
      throw BundleError.badValue(file: file, key: text(error.path), value: "'\(error.value)'", expected: expected)
    } catch let error as DecodingError {
      let (key, reason) = place(of: error)
      throw BundleError.malformed(file: file, key: key, reason: reason)
    }
  }

  /// Every path of a description, with its key.
  static func paths(_ descriptor: BundleDescriptor) -> [(key: String, path: String)] {
    let components = descriptor.components.flatMap { name, row in
      let key = "components.\(name)"
      let package = row.path.map { [("\(key).path", $0)] } ?? []
      let chunks = (row.chunks ?? []).enumerated().map { ("\(key).chunks[\($0)].path", $1.path) }
      return package + chunks + (row.selfTest.map { [("\(key).self_test.path", $0.path)] } ?? [])
    }
    let tokenizers = descriptor.tokenizers.map { ("tokenizers.\($0).path", $1.path) }
    let preview = descriptor.preview.map { [("preview.path", $0.path)] } ?? []
    return (components + tokenizers + preview).sorted { $0.0 < $1.0 }
  }

  /// Read first: another version may have other keys.
  private struct Header: Decodable {
    let format: String
    let formatVersion: Int

    private enum CodingKeys: String, CodingKey {
      case format
      case formatVersion = "format_version"
    }
  }

  private static func place(of error: DecodingError) -> (key: String, reason: String) {
    switch error {
    case .keyNotFound(let key, let context): return (text(context.codingPath + [key]), "it is missing")
    case .typeMismatch(let type, let context): return (text(context.codingPath), "expected \(name(of: type))")
    case .valueNotFound(let type, let context):
      return (text(context.codingPath), "it is null, expected \(name(of: type))")
    case .dataCorrupted(let context): return (text(context.codingPath), "it is damaged: \(context.debugDescription)")
    @unknown default: return ("", "\(error)")
    }
  }

  private static func text(_ path: [any CodingKey]) -> String {
    path.reduce("") { text, key in
      if let index = key.intValue { return "\(text)[\(index)]" }
      return text.isEmpty ? key.stringValue : "\(text).\(key.stringValue)"
    }
  }

  private static func name(of type: any Any.Type) -> String {
    switch type {
    case is Int.Type: "an integer"
    case is Double.Type: "a number"
    case is String.Type: "a string"
    case is [String: Any].Type: "an object"
    default: "\(type)".hasPrefix("Array") ? "a list" : "an object"
    }
  }
}
