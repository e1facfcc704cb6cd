import Dispatch
import TintypeMLX

extension MLModel {
  /// Compiles a package into a new `.mlmodelc` folder under the temporary folder. Move it to keep it.
  ///
  /// There is nothing to compile here: the folder holds the package's files, checked by opening them once. They are
  /// hard links where the file system allows, so that weights take no second space, and symbolic links where not.
  public class func compileModel(at modelURL: URL) throws -> URL {
    try CompiledModel.make(from: modelURL)
  }

  /// The same without blocking the caller.
  public class func compileModel(at modelURL: URL) async throws -> URL {
    try await Blocking.run { try CompiledModel.make(from: modelURL) }
  }

  /// The same; `handler` is called on another thread.
  public class func compileModel(
    at url: URL, completionHandler handler: @escaping (Result<URL, any Error>) -> Void
  ) {
    nonisolated(unsafe) let handler = handler
    DispatchQueue.global().async {
      handler(Result { try CompiledModel.make(from: url) })
    }
  }
}

/// The layout of a portable `.mlmodelc`: a folder with the package inside.
enum CompiledModel {
  static let packageName = "model.mlpackage"

  static func make(from source: URL) throws -> URL {
    let manager = FileManager.default
    guard manager.fileExists(atPath: source.path) else {
      throw MLModelError(.io, status: .io, "A valid model file does not exist at \(source.path).")
    }
    // What cannot run is refused here, as Apple's compiler refuses what is damaged.
    _ = try asCoreMLErrors { try EngineModel(path: source.path, library: EngineLibrary.open()) }
    let name = source.deletingPathExtension().lastPathComponent
    let compiled = manager.temporaryDirectory.appendingPathComponent(
      "\(name)_\(UUID().uuidString).mlmodelc", isDirectory: true)
    do {
      let target = compiled.appendingPathComponent(packageName)
      try manager.createDirectory(at: target, withIntermediateDirectories: true)
      for path in try manager.subpathsOfDirectory(atPath: source.path).sorted() {
        try link(source.appendingPathComponent(path), to: target.appendingPathComponent(path))
      }
    } catch {
      try? manager.removeItem(at: compiled)
      throw MLModelError(
        .io, status: .io, "\(source.path) could not be compiled to \(compiled.path): \(error)")
    }
    return compiled
  }

  private static func link(_ source: URL, to target: URL) throws {
    let manager = FileManager.default
    var isFolder = false
    if let type = try manager.attributesOfItem(atPath: source.path)[.type] as? FileAttributeType {
      isFolder = type == .typeDirectory
    }
    if isFolder {
      try manager.createDirectory(at: target, withIntermediateDirectories: true)
      return
    }
    do {
      try manager.linkItem(at: source, to: target)
    } catch {
      // Another file system (a /tmp in memory, say): gigabytes of weights must not be copied there.
      try manager.createSymbolicLink(at: target, withDestinationURL: source.standardizedFileURL)
    }
  }

  /// The package inside a compiled model; refuses what was not compiled.
  static func package(in url: URL) throws -> URL {
    guard FileManager.default.fileExists(atPath: url.path) else {
      throw MLModelError(.io, status: .io, "The model does not exist: \(url.path)")
    }
    let package = url.appendingPathComponent(packageName)
    guard FileManager.default.fileExists(atPath: package.path) else {
      throw MLModelError(
        .io, status: .format,
        "Unable to load model: \(url.path). Compile the model with `MLModel.compileModel(at:)`.")
    }
    return package
  }
}
