import Dispatch
import TintypePackages

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Models in memory, within a budget: loaded when they are asked for, one load at a time (a compiler needs several
/// times a model's size), and unloaded when room is needed, the least recently used ones first.
///
///     let models = ResidentModels(backend: makeBackend(.auto), memoryBudget: 4 << 30)
///     try await models.prewarm([denoiser, decoder])
///     let outputs = try await models.model(at: denoiser).predict(inputs)
public actor ResidentModels {
  private let backend: any Backend
  private let units: ComputeUnits
  private let memoryBudget: Int?
  private var entries: [URL: Entry] = [:]
  private var clock = 0
  private var lastLoad: Task<any LoadedModel, any Error>?

  private struct Entry {
    let model: Task<any LoadedModel, any Error>
    let bytes: Int
    var lastUse: Int
  }

  /// - Parameter memoryBudget: bytes of weights that may be loaded at once; nil: no limit. A model that is larger than
  ///   the budget is loaded alone.
  public init(backend: any Backend, units: ComputeUnits = .all, memoryBudget: Int? = nil) {
    self.backend = backend
    self.units = units
    self.memoryBudget = memoryBudget
  }

  /// The model of a package, loaded if it is not. Models that are dropped here live on as long as somebody holds them.
  public func model(at package: URL) async throws -> any LoadedModel {
    clock += 1
    let package = package.standardizedFileURL
    if entries[package] != nil {
      entries[package]?.lastUse = clock
    } else {
      let bytes = PackageFiles(package: package).weightBytes()
      makeRoom(for: bytes)
      entries[package] = Entry(model: startLoading(package), bytes: bytes, lastUse: clock)
    }
    guard let task = entries[package]?.model else { throw CancellationError() }
    do {
      return try await task.value
    } catch {
      // The next call tries anew.
      if entries[package]?.model == task { entries[package] = nil }
      throw error
    }
  }

  /// Compiles and loads the packages in turn, so that later loads find the system's caches warm. Those that fit the
  /// budget together stay loaded.
  public func prewarm(_ packages: [URL]) async throws {
    for package in packages {
      try Task.checkCancellation()
      _ = try await model(at: package)
    }
  }

  public func unload(_ package: URL) { entries[package.standardizedFileURL] = nil }

  public func unloadAll() { entries = [:] }

  /// The packages in memory, the least recently used first.
  public var loadedPackages: [URL] {
    entries.sorted { $0.value.lastUse < $1.value.lastUse }.map(\.key)
  }

  /// Bytes of the loaded models' weights.
  public var residentBytes: Int { entries.values.reduce(0) { $0 + $1.bytes } }

  private func makeRoom(for bytes: Int) {
    guard let memoryBudget else { return }
    for package in loadedPackages where residentBytes + bytes > memoryBudget { entries[package] = nil }
  }

  private func startLoading(_ package: URL) -> Task<any LoadedModel, any Error> {
    let (backend, units, earlier) = (self.backend, self.units, lastLoad)
    let task = Task<any LoadedModel, any Error> {
      _ = await earlier?.result
      // Loading blocks for minutes at worst, which the threads of Swift's tasks must not.
      return try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async {
          continuation.resume(with: Result { try backend.load(package, units: units) })
        }
      }
    }
    lastLoad = task
    return task
  }
}
