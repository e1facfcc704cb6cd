import CoreML
import TintypeMLX
import TintypePackages

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Runs packages on Core ML: Apple's where it exists, else the portable one (`CoreMLPlatform.implementation`).
///
/// package ──compile once──► cache ──load──► MLModel ──prediction──► tensors
public struct CoreMLBackend: Backend {
  /// Core ML, whoever made it.
  public let kind = BackendKind.coreml
  private let cache: CompileCache
  /// Which models have passed their self-tests.
  let verdicts: VerdictStore
  private let onCompile: @Sendable (URL) -> Void

  /// - Parameters:
  ///   - cacheFolder: where compiled models are kept; nil: the system's cache folder.
  ///   - onCompile: told of a package before it is compiled, which takes minutes for a large one.
  public init(cacheFolder: URL? = nil, onCompile: @escaping @Sendable (URL) -> Void = { _ in }) {
    self.onCompile = onCompile
    cache = CompileCache(folder: cacheFolder ?? CompileCache.standardFolder)
    verdicts = VerdictStore(folder: VerdictStore.folder(besideCache: cacheFolder))
  }

  /// Throws where Core ML cannot run: on Linux, where the engine behind the portable one is missing.
  public func checkAvailability() throws {
    try CoreMLPlatform.checkAvailability()
  }

  /// Where it is kept that this backend could not run a package on this system; nil where the package cannot be read.
  public func verdictFile(of package: URL, units: ComputeUnits) -> URL? {
    FileManager.default.fileExists(atPath: package.path) ? verdicts.file(of: package, units: units) : nil
  }

  /// Opens an `.mlpackage` or a compiled `.mlmodelc`.
  public func load(_ package: URL, units: ComputeUnits) throws -> any LoadedModel {
    guard FileManager.default.fileExists(atPath: package.path) else { throw missing(package) }
    if package.pathExtension == "mlmodelc" {
      return try CoreMLModel(ModelDescription(functionsOf: package), metadataJSON: nil) {
        try FunctionModel(compiled: package, function: $0, units: units)
      }
    }
    let compiled = try cachedModel(of: package)
    // Core ML has accepted the package; where its specification cannot be read, MLModel's own description serves.
    let files = PackageFiles(package: package)
    let specification = try? files.specification()
    return try CoreMLModel(
      specification?.description ?? ModelDescription(functionsOf: compiled),
      metadataJSON: specification.flatMap { ModelMetadata($0, weightBytes: files.weightBytes()).json }
    ) { function in
      do {
        return try FunctionModel(compiled: compiled, function: function, units: units)
      } catch {
        // A package that has changed since it was described has another place, and is no substitute.
        guard cache.discard(compiled, after: error), try cachedModel(of: package) == compiled else { throw error }
        return try FunctionModel(compiled: compiled, function: function, units: units)
      }
    }
  }

  /// The compiled form of a package, made if need be; a compiled model is itself.
  func compiledModel(of package: URL) throws -> URL {
    guard FileManager.default.fileExists(atPath: package.path) else { throw missing(package) }
    return package.pathExtension == "mlmodelc" ? package : try cachedModel(of: package)
  }

  private func missing(_ package: URL) -> BackendError {
    .failed(
      backend: .coreml, kind: .io,
      message: "the model package \(package.path) does not exist; check the path, or convert the model again")
  }

  private func cachedModel(of package: URL) throws -> URL {
    do {
      return try cache.model(for: package) { package in
        onCompile(package)
        return try CoreMLBackend.compile(package)
      }
    } catch {
      throw CoreMLPlatform.backendError(error, .format)
    }
  }

  /// Core ML deprecates the blocking call.
  private static func compile(_ package: URL) throws -> URL {
    try Callback.value { MLModel.compileModel(at: package, completionHandler: $0) }
  }
}
