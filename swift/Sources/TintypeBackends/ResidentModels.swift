import TintypePackages

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Models in memory, within a budget: loaded when they are asked for, one load at a time (a compiler needs several
/// times a model's size), and unloaded when room is needed, the least recently used ones first.
///
///     let models = ResidentModels(backend: BackendChoice.auto.makeBackend(), memoryBudget: 4 << 30)
///     try await models.prewarm([denoiser, decoder])
///     let outputs = try await models.model(at: denoiser).predict(inputs)
public struct ResidentModels: Sendable {
  private let backend: any Backend
  private let units: ComputeUnits
  private let store: LazyStore<URL, any LoadedModel>

  /// - Parameter memoryBudget: bytes of weights that may be loaded at once; nil: no limit. A model that is larger than
  ///   the budget is loaded alone. One with several functions open on Core ML has its weights as often.
  public init(backend: any Backend, units: ComputeUnits = .all, memoryBudget: Int? = nil) {
    self.backend = backend
    self.units = units
    store = LazyStore(budget: memoryBudget) { $0.copies }
  }

  /// The model of a package, loaded if it is not. Models that are dropped here live on as long as somebody holds them. A
  /// caller whose task is cancelled waits no longer for a load; what has begun is kept for the next one.
  public func model(at package: URL) async throws -> any LoadedModel {
    let package = package.standardizedFileURL
    return try await store.value(package, bytes: PackageFiles(package: package).weightBytes()) { [backend, units] in
      try backend.load(package, units: units)
    }
  }

  /// Compiles and loads the packages in turn, each with its default function, so that later loads find the system's
  /// caches warm. Those that fit the budget together stay loaded.
  public func prewarm(_ packages: [URL]) async throws {
    for package in packages {
      try Task.checkCancellation()
      let model = try await model(at: package)
      try await Waiter.value(of: Task { try await Blocking.run { try model.prepare(function: nil) } })
    }
  }

  /// Forgets a package's model; predictions in progress finish first.
  public func unload(_ package: URL) async {
    let package = package.standardizedFileURL
    await store.remove { $0 == package }
  }

  /// Forgets all models.
  public func unloadAll() async { await store.remove { _ in true } }

  /// The packages in memory, the least recently used first.
  public var loadedPackages: [URL] { get async { await store.keys } }

  /// Bytes of the loaded models' weights.
  public var residentBytes: Int { get async { await store.bytes } }
}

/// Bytes of the weights of some packages, by their files.
package func weightBytes(of packages: [URL]) -> Int {
  packages.reduce(0) { $0 + PackageFiles(package: $1).weightBytes() }
}
