import Foundation
import TestSupport
import Testing

@testable import TintypeBackends

/// `predict` and `load` as asynchronous code calls them.
@Suite struct AsyncTests {
  /// A model that asks whether it is still wanted until somebody throws, and says on which thread it runs.
  private struct Patient: LoadedModel {
    let backend = BackendKind.mlx
    let modelDescription = ModelDescription(functions: [])
    let begun: Locked<Bool>
    let wasOnMain: Locked<Bool?>

    func predict(_ inputs: [String: Tensor], function: String?) throws -> [String: Tensor] { [:] }

    func predict(_ inputs: [String: Tensor], options: PredictionOptions) throws -> [String: Tensor] {
      wasOnMain.withLock { $0 = Thread.isMainThread }
      begun.withLock { $0 = true }
      let end = ContinuousClock.now + .seconds(60)
      while ContinuousClock.now < end {
        try options.progress?(0.5)
        Thread.sleep(forTimeInterval: 0.005)
      }
      return inputs
    }
  }

  @MainActor @Test func cancellingEndsAPredictionOffTheMainThread() async throws {
    let model = Patient(begun: Locked(false), wasOnMain: Locked(nil))
    let task = Task { @MainActor in try await model.predict([:]) }
    // The main actor is free while the model runs.
    while !model.begun.withLock({ $0 }) { await Task.yield() }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(model.wasOnMain.withLock { $0 } == false)
  }

  @Test func whatTheCallersProgressThrowsIsThrown() async throws {
    struct Enough: Error {}
    let model = Patient(begun: Locked(false), wasOnMain: Locked(nil))
    await #expect(throws: Enough.self) {
      try await model.predict([:], options: PredictionOptions(progress: { _ in throw Enough() }))
    }
  }

  @Test func aLoadedModelGivesWhatItGivesSynchronously() async throws {
    let package = Fixture.package("linear")
    let model = try await MLXBackend().load(package, units: .cpuOnly)
    let x = try Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6])
    let outputs = try await model.predict(["x": x])
    let synchronous = try { try model.predict(["x": x]) }()
    #expect(outputs["y"]?.floats() == synchronous["y"]?.floats() && outputs["y"]?.shape == [2, 4])
    #expect(try await model.predict(["x": x], function: nil)["y"]?.floats() == outputs["y"]?.floats())
  }
}
