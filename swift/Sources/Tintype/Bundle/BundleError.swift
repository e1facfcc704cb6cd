/// Why a folder is no usable bundle. Every case holds the values; `description` adds the remedy.
public enum BundleError: Error, Equatable, Sendable {
  /// There is no such folder.
  case noFolder(path: String)
  /// A file was named instead of a bundle's folder.
  case notAFolder(path: String)
  /// The folder has no `bundle.json`.
  case notABundle(path: String)
  /// `bundle.json` is no JSON, or a key is missing or of the wrong type; `key` says where.
  case malformed(file: String, key: String, reason: String)
  /// A value that the format does not allow.
  case badValue(file: String, key: String, value: String, expected: String)
  /// Another file format altogether.
  case wrongFormat(file: String, found: String)
  /// A format version of another release.
  case unknownVersion(file: String, found: Int, supported: Int)
  /// A path that leads out of the bundle's folder.
  case pathEscapes(file: String, key: String, value: String)
  /// `bundle.json` names a folder, or a file, that is not there.
  case missingFolder(file: String, key: String, path: String)
  /// A safetensors file of the bundle cannot be used.
  case damagedTensors(file: String, reason: String)
  /// A run needs a component that was not converted.
  case missingComponent(name: String, bundle: String, known: [String])
  /// A run needs a tokenizer that the bundle does not have.
  case missingTokenizer(name: String, bundle: String, known: [String])
}

extension BundleError: ExplainedError {
  package var explanation: (problem: String, remedy: String?) {
    switch self {
    case .noFolder(let path):
      ("there is no bundle at \(path)", "convert a model with `tintype convert SOURCE -o \(path)`")
    case .notAFolder(let path): ("\(path) is a file", "name the folder of a bundle")
    case .notABundle(let path):
      ("\(path) is not a bundle, it has no \(BundleNames.file)", "convert a model with `tintype convert`")
    case .malformed(let file, let key, let reason):
      ("\(file): \(key.isEmpty ? "" : "\(key): ")\(reason)", "convert the model again")
    case .badValue(let file, let key, let value, let expected):
      ("\(file): \(key) is \(value), expected \(expected)", "convert the model again")
    case .wrongFormat(let file, let found):
      ("\(file): format is '\(found)', expected '\(BundleNames.format)': this is not a Tintype bundle", nil)
    case .unknownVersion(let file, let found, let supported):
      (
        "\(file): format_version is \(found), expected \(supported)",
        "update tintype, or convert the model again with this release"
      )
    case .pathEscapes(let file, let key, let value):
      (
        "\(file): \(key) is '\(value)', expected a relative path inside the bundle, without '..'",
        "convert the model again"
      )
    case .missingFolder(let file, let key, let path):
      ("\(file): \(key) is '\(path)', but that is missing", "the bundle is incomplete, convert the model again")
    case .damagedTensors(let file, let reason):
      ("\(file) cannot be read as safetensors: \(reason)", "convert the model again")
    case .missingComponent(let name, let bundle, let known):
      (
        "the bundle \(bundle) has no component '\(name)', only \(list(known))",
        "convert the model again with all components, or with \(name) among them"
      )
    case .missingTokenizer(let name, let bundle, let known):
      ("the bundle \(bundle) has no '\(name)', only \(list(known))", "convert the model again")
    }
  }

  private func list(_ names: [String]) -> String {
    names.isEmpty ? "none" : names.joined(separator: ", ")
  }
}
