import Dispatch
import TintypeMLX
import TintypePackages

/// A compiled model as a value: what it is, without loading it.
public final class MLModelAsset: Sendable {
  let url: URL
  /// Whether the folder goes with this object.
  private let isTemporary: Bool

  /// - Parameter compiledModelURL: the `.mlmodelc` folder.
  public init(url compiledModelURL: URL) throws {
    _ = try CompiledModel.package(in: compiledModelURL)
    url = compiledModelURL
    isTemporary = false
  }

  /// A model in memory: the bytes of its `model.mlmodel`, which refers to no file of weights.
  public convenience init(specification specificationData: Data) throws {
    try self.init(specification: specificationData, blobMapping: [:])
  }

  /// A model in memory: the bytes of its `model.mlmodel`, and its files of weights by the places that it gives them
  /// ("weights/weight.bin").
  ///
  /// They lie in the temporary folder as long as this object lives.
  public init(specification specificationData: Data, blobMapping: [URL: Data]) throws {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("specification_\(UUID().uuidString)", isDirectory: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let package = folder.appendingPathComponent("asset.mlpackage", isDirectory: true)
    do {
      try MemoryPackage.write(specificationData, blobMapping, to: package)
    } catch let error as MLModelError {
      throw error
    } catch {
      throw MLModelError(.io, status: .io, "The specification could not be written to \(package.path): \(error)")
    }
    url = try CompiledModel.make(from: package)
    isTemporary = true
  }

  deinit {
    if isTemporary { try? FileManager.default.removeItem(at: url) }
  }

  /// What the default function takes and gives.
  public var modelDescription: MLModelDescription {
    get async throws { try await Blocking.run { try self.model(of: nil) }.modelDescription }
  }

  /// What a function takes and gives.
  public func modelDescription(of functionName: String) async throws -> MLModelDescription {
    try await Blocking.run { try self.model(of: functionName) }.modelDescription
  }

  /// The functions of a package that lists several, the default one first; empty for other packages.
  public var functionNames: [String] { get async throws { try await Blocking.run { try self.names() } } }

  /// What the default function takes and gives; `handler` is called on another thread.
  public func modelDescription(
    completionHandler handler: @escaping @Sendable (MLModelDescription?, (any Error)?) -> Void
  ) {
    answer(handler) { try $0.model(of: nil).modelDescription }
  }

  /// What a function takes and gives; `handler` is called on another thread.
  public func modelDescription(
    ofFunctionNamed functionName: String,
    completionHandler handler: @escaping @Sendable (MLModelDescription?, (any Error)?) -> Void
  ) {
    answer(handler) { try $0.model(of: functionName).modelDescription }
  }

  /// The functions of a package that lists several, the default one first, else none; `handler` is called on another
  /// thread.
  public func functionNames(completionHandler handler: @escaping @Sendable ([String]?, (any Error)?) -> Void) {
    answer(handler) { try $0.names() }
  }

  private func model(of functionName: String?) throws -> MLModel {
    let configuration = MLModelConfiguration()
    configuration.functionName = functionName
    return try MLModel(contentsOf: url, configuration: configuration)
  }

  private func names() throws -> [String] {
    let names = try MLModel(contentsOf: url).engineModel.modelDescription.functions.map(\.name)
    let specification = try? PackageFiles(package: CompiledModel.package(in: url)).specification()
    return specification?.listsFunctions == false ? [] : names
  }

  private func answer<Value>(
    _ handler: @escaping @Sendable (Value?, (any Error)?) -> Void,
    _ body: @escaping @Sendable (MLModelAsset) throws -> Value
  ) {
    DispatchQueue.global().async {
      do {
        handler(try body(self), nil)
      } catch {
        handler(nil, error)
      }
    }
  }
}

extension MLModel {
  /// Opens an asset without blocking the caller.
  public class func load(
    asset: MLModelAsset, configuration: MLModelConfiguration = MLModelConfiguration()
  ) async throws -> sending MLModel {
    // The model reads its files while it is opened, and the asset may own them.
    defer { withExtendedLifetime(asset) {} }
    return try await load(contentsOf: asset.url, configuration: configuration)
  }

  /// Opens an asset; `handler` is called on another thread.
  public class func load(
    _ asset: MLModelAsset, configuration: MLModelConfiguration,
    completionHandler handler: @escaping @Sendable (MLModel?, (any Error)?) -> Void
  ) {
    load(contentsOf: asset.url, configuration: configuration) { result in
      withExtendedLifetime(asset) {
        switch result {
        case .success(let model): handler(model, nil)
        case .failure(let error): handler(nil, error)
        }
      }
    }
  }
}

/// A package made of what a caller has in memory.
private enum MemoryPackage {
  private static let identifier = "00000000-0000-4000-8000-000000000001"
  private static let manifest = """
    {"fileFormatVersion": "1.0.0", "itemInfoEntries": {"\(identifier)": {"author": "com.apple.CoreML", "description": \
    "CoreML Model Specification", "name": "model.mlmodel", "path": "com.apple.CoreML/model.mlmodel"}}, \
    "rootModelIdentifier": "\(identifier)"}
    """

  static func write(_ specification: Data, _ blobs: [URL: Data], to package: URL) throws {
    let data = package.appendingPathComponent("Data/com.apple.CoreML", isDirectory: true)
    try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
    try Data(manifest.utf8).write(to: package.appendingPathComponent("Manifest.json"))
    try specification.write(to: data.appendingPathComponent("model.mlmodel"))
    for (place, blob) in blobs {
      let file = data.appendingPathComponent(try path(of: place))
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try blob.write(to: file)
    }
  }

  /// The place inside of the model, which programs write as "@model_path/weights/weight.bin".
  private static func path(of place: URL) throws -> String {
    let prefix = "@model_path/"
    let path = place.relativePath
    let relative = path.hasPrefix(prefix) ? String(path.dropFirst(prefix.count)) : path
    let parts = relative.split(separator: "/")
    guard !relative.hasPrefix("/"), !parts.isEmpty, !parts.contains("..") else {
      throw MLModelError(
        .io, status: .invalidArgument,
        "The blob at \(path) lies outside of the model: name it by its place in it, as in weights/weight.bin.")
    }
    return relative
  }
}
