import Foundation
import TestSupport
import Testing

@testable import TintypeBackends

@Suite struct ResidentModelsTests {
  private let backend = ScriptedBackend(kind: .mlx)
  /// 176 bytes of weights each; "add" has none.
  private let linear = Fixture.package("linear")
  private let other = Fixture.package("damaged")
  private let add = Fixture.package("add")

  private var loads: Int { backend.loads.withLock { $0 } }

  @Test func modelsAreLoadedOnce() async throws {
    let models = ResidentModels(backend: backend)
    _ = try await models.model(at: linear)
    _ = try await models.model(at: linear)
    #expect(loads == 1)
    #expect(await models.residentBytes == 176)
    await models.unload(linear)
    #expect(await models.loadedPackages.isEmpty)
    _ = try await models.model(at: linear)
    #expect(loads == 2)
  }

  @Test func manyAtOnceWaitForOneLoad() async throws {
    let models = ResidentModels(backend: backend)
    let linear = self.linear
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<8 { group.addTask { _ = try await models.model(at: linear) } }
      try await group.waitForAll()
    }
    #expect(loads == 1)
  }

  @Test func theLeastRecentlyUsedMakesRoom() async throws {
    let models = ResidentModels(backend: backend, memoryBudget: 200)
    try await models.prewarm([linear, add])
    #expect(await models.loadedPackages.count == 2)
    _ = try await models.model(at: other)
    #expect(await models.loadedPackages == [add, other].map(\.standardizedFileURL))
    #expect(await models.residentBytes <= 200)
    await models.unloadAll()
    #expect(await models.residentBytes == 0)
  }

  @Test func whatIsTooLargeIsLoadedAlone() async throws {
    let models = ResidentModels(backend: backend, memoryBudget: 1)
    _ = try await models.model(at: linear)
    _ = try await models.model(at: other)
    #expect(await models.loadedPackages == [other.standardizedFileURL])
  }

  @Test func failuresAreTriedAgain() async throws {
    let failing = ScriptedBackend(
      kind: .mlx, loading: .failed(backend: .mlx, kind: .outOfMemory, message: "no memory"))
    let models = ResidentModels(backend: failing)
    for _ in 0..<2 { await #expect(throws: BackendError.self) { try await models.model(at: linear) } }
    #expect(failing.loads.withLock { $0 } == 2)
    #expect(await models.loadedPackages.isEmpty)
  }

  @Test func realModelsPredict() async throws {
    let models = ResidentModels(backend: MLXBackend())
    let x = try Tensor(shape: [2, 3], floats: [Float](repeating: 0, count: 6))
    #expect(try await models.model(at: linear).predict(["x": x])["y"]?.floats() == [0, 1, 2, 3, 0, 1, 2, 3])
  }
}
