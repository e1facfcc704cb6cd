import Foundation
import TestSupport
import Testing

@testable import TintypeBackends

@Suite struct FallbackTests {
  private let package = URL(fileURLWithPath: "/models/net.mlpackage")
  private let notices = Locked<[String]>([])
  private let mlx = ScriptedBackend(kind: .mlx)

  private func fallback(_ first: ScriptedBackend) -> FallbackBackend {
    let notices = self.notices
    return FallbackBackend(first: first, second: mlx) { text in notices.withLock { $0.append(text) } }
  }

  private func failure(_ kind: BackendError.FailureKind) -> BackendError {
    .failed(backend: .coreml, kind: kind, message: "the reason")
  }

  @Test func theFirstIsUsedWhenItWorks() throws {
    let model = try fallback(ScriptedBackend(kind: .coreml)).load(package, units: .all)
    #expect(model.backend == .coreml)
    #expect(try model.predict([:]).keys.first == "coreml")
    #expect(notices.withLock { $0 }.isEmpty)
    #expect(mlx.loads.withLock { $0 } == 0)
  }

  @Test func aFailedLoadMovesOnAndSaysWhy() throws {
    let model = try fallback(ScriptedBackend(kind: .coreml, loading: failure(.unsupported))).load(package, units: .all)
    #expect(model.backend == .mlx)
    #expect(notices.withLock { $0 } == [try AutoReasons().failed("net", "the reason")])
  }

  @Test func anUnavailableBackendMovesOn() throws {
    let reason = BackendError.unavailable(backend: .coreml, reason: "no Core ML", remedy: "use a Mac")
    let backend = fallback(ScriptedBackend(kind: .coreml, availability: reason))
    try backend.checkAvailability()
    #expect(try backend.load(package, units: .all).backend == .mlx)
  }

  @Test func aFailedPredictionMovesOnOnceAndForAll() throws {
    let model = try fallback(ScriptedBackend(kind: .coreml, predicting: failure(.runtime))).load(package, units: .all)
    #expect(model.backend == .coreml)
    #expect(try model.predict([:]).keys.first == "mlx")
    #expect(try model.predict([:]).keys.first == "mlx")
    #expect(model.backend == .mlx)
    #expect(mlx.loads.withLock { $0 } == 1)
    #expect(notices.withLock { $0 } == [try AutoReasons().failed("net", "the reason")])
  }

  @Test func numbersThatAreNotFiniteMoveOn() throws {
    let model = try fallback(ScriptedBackend(kind: .coreml, value: .nan)).load(package, units: .all)
    #expect(try model.predict([:]).keys.first == "mlx")
    #expect(notices.withLock { $0 } == [try AutoReasons().text("not_finite", ["package": "net"])])
  }

  @Test(arguments: [BackendError.FailureKind.invalidArgument, .io, .cancelled])
  func mistakesAreNotRetried(_ kind: BackendError.FailureKind) throws {
    #expect(throws: failure(kind)) {
      try fallback(ScriptedBackend(kind: .coreml, loading: failure(kind))).load(package, units: .all)
    }
    let model = try fallback(ScriptedBackend(kind: .coreml, predicting: failure(kind))).load(package, units: .all)
    #expect(throws: failure(kind)) { try model.predict([:]) }
    #expect(mlx.loads.withLock { $0 } == 0)
  }

  private struct Enough: Error {}

  /// What the caller throws to end a prediction says nothing of the backend.
  @Test func whatTheCallerThrowsIsNoFailure() throws {
    let model = try fallback(ScriptedBackend(kind: .coreml)).load(package, units: .all)
    #expect(throws: Enough.self) { try model.predict([:], options: PredictionOptions { _ in throw Enough() }) }
    #expect(model.backend == .coreml)
    #expect(mlx.loads.withLock { $0 } == 0 && notices.withLock { $0 }.isEmpty)
  }

  /// While the second backend loads, and when that is told, others may ask which one runs.
  @Test(arguments: [BackendError.failed(backend: .coreml, kind: .runtime, message: "the reason"), nil])
  func nobodyWhoAsksWaitsForAMove(_ error: BackendError?) throws {
    let model = Locked<(any LoadedModel)?>(nil)
    let answers = Locked<[Bool]>([])
    let ask: @Sendable () -> Void = {
      let done = DispatchSemaphore(value: 0)
      DispatchQueue.global().async {
        _ = model.withLock { $0 }?.backend
        done.signal()
      }
      let isAnswered = done.wait(timeout: .now() + 10) == .success
      answers.withLock { $0.append(isAnswered) }
    }
    let backend = FallbackBackend(
      first: ScriptedBackend(kind: .coreml, predicting: error, value: .nan),
      second: ScriptedBackend(kind: .mlx, beforeLoading: ask), notice: { _ in ask() })
    let loaded = try backend.load(package, units: .all)
    model.withLock { $0 = loaded }
    #expect(try loaded.predict([:]).keys.first == "mlx")
    #expect(answers.withLock { $0 } == [true, true])
  }

  @Test func theLookAtTheSecondCanBeEnded() throws {
    let model = try fallback(ScriptedBackend(kind: .coreml, value: .nan)).load(package, units: .all)
    let told = Locked<[Double]>([])
    #expect(throws: Enough.self) {
      try model.predict(
        [:],
        options: PredictionOptions { share in
          let calls = told.withLock { told in
            told.append(share)
            return told.count
          }
          if calls > 2 { throw Enough() }
        })
    }
    #expect(told.withLock { $0 } == [0, 1, 1])
    #expect(model.backend == .coreml)
    #expect(try model.predict([:]).keys.first == "mlx")
  }

  /// Only a second backend that says the same of the model, or never runs it, ends the looking.
  @Test(arguments: [(BackendError.FailureKind.outOfMemory, "mlx"), (.unsupported, "coreml")])
  func aFailedLookIsRepeatedWhereItMayPass(_ kind: BackendError.FailureKind, _ next: String) throws {
    let second = ScriptedBackend(kind: .mlx, loading: failure(kind), failingLoads: 1)
    let backend = FallbackBackend(first: ScriptedBackend(kind: .coreml, value: .nan), second: second) { _ in }
    let model = try backend.load(package, units: .all)
    #expect(try model.predict([:]).keys.first == "coreml")
    #expect(try model.predict([:]).keys.first == next)
  }

  /// A function is opened once, before its first prediction or when that is asked for.
  @Test func functionsAreOpenedOnce() throws {
    let opened = Locked<[String]>([])
    let first = ScriptedBackend(kind: .coreml, opening: { name in opened.withLock { $0.append(name ?? "default") } })
    let model = try fallback(first).load(package, units: .all)
    #expect(opened.withLock { $0 }.isEmpty)
    try model.prepare(function: "wide")
    _ = try model.predict([:], function: "wide")
    _ = try model.predict([:])
    _ = try model.predict([:])
    #expect(opened.withLock { $0 } == ["wide", "default"])
  }

  @Test func aFunctionThatCannotBeOpenedMovesOn() throws {
    let failure = failure(.unsupported)
    let model = try fallback(ScriptedBackend(kind: .coreml, opening: { _ in throw failure })).load(package, units: .all)
    #expect(model.backend == .coreml)
    #expect(try model.predict([:], function: "wide").keys.first == "mlx")
    #expect(notices.withLock { $0 } == [try AutoReasons().failed("net", "the reason")])
  }

  @Test func namedBackendsAreStrict() {
    #expect(BackendChoice.mlx.makeBackend().kind == .mlx)
    #expect(BackendChoice.coreml.makeBackend().kind == .coreml)
    #expect(BackendChoice.mlx.makeBackend() is MLXBackend)
    #expect(BackendChoice.coreml.makeBackend() is CoreMLBackend)
  }

  @Test func autoIsCoreMLOnlyWhereItIsApples() throws {
    #expect(BackendChoice.auto.makeBackend().kind == (CoreMLPlatform.isApples ? .coreml : .mlx))
    #expect(CoreMLPlatform.isApples == (CoreMLPlatform.implementation == "apple"))
    let key = CoreMLPlatform.isApples ? "available" : "no_core_ml"
    #expect(try BackendChoice.auto.reason == AutoReasons().text(key, [:]))
  }
}

/// `auto` in an app that embeds no engine.
@Suite struct FallbackWithoutEngineTests {
  private let package = URL(fileURLWithPath: "/models/net.mlpackage")
  private let notices = Locked<[String]>([])

  private func fallback(_ first: ScriptedBackend, timeBox: Duration? = nil) -> FallbackBackend {
    let notices = self.notices
    let engine = MLXBackend(engineLibrary: URL(fileURLWithPath: "/nowhere/engine"))
    return FallbackBackend(
      first: first, second: engine, notice: { text in notices.withLock { $0.append(text) } }, timeBox: timeBox)
  }

  private let failure = BackendError.failed(backend: .coreml, kind: .outOfMemory, message: "the reason")
  private let combined = BackendError.failed(
    backend: .coreml, kind: .outOfMemory,
    message: "the reason (mlx cannot take over: the engine library was not found (looked for /nowhere/engine))")

  @Test func aFailedLoadThrowsItsOwnReason() {
    let backend = fallback(ScriptedBackend(kind: .coreml, loading: failure))
    #expect(throws: combined) { try backend.load(package, units: .all) }
    #expect(notices.withLock { $0 }.isEmpty)
  }

  @Test func aFailedPredictionThrowsItsOwnReason() throws {
    let model = try fallback(ScriptedBackend(kind: .coreml, predicting: failure)).load(package, units: .all)
    #expect(throws: combined) { try model.predict([:]) }
    #expect(throws: combined) { try model.predict([:]) }
    #expect(model.backend == .coreml)
    #expect(notices.withLock { $0 }.isEmpty)
  }

  @Test func aFailedSelfTestThrowsItsOwnReason() throws {
    let test = SelfTest(inputs: [:], expected: ["coreml": try Tensor(shape: [1], floats: [8])], tolerance: 1e-3)
    let error = try #require(throws: BackendError.self) {
      try fallback(ScriptedBackend(kind: .coreml, value: 7)).load(package, units: .all, passing: test)
    }
    #expect(error.description.hasPrefix("output \"coreml\" differs by 1.0 from what was recorded"))
    #expect(error.description.contains(" (mlx cannot take over: the engine library was not found"))
  }

  @Test func unavailabilityNamesBoth() throws {
    let missing = BackendError.unavailable(backend: .coreml, reason: "no Core ML", remedy: "use a Mac")
    let error = try #require(throws: BackendError.self) {
      try fallback(ScriptedBackend(kind: .coreml, availability: missing)).checkAvailability()
    }
    #expect(error.kind == .unavailable)
    #expect(error.description.hasPrefix("backend \"coreml\" cannot run here: no Core ML; use a Mac (mlx cannot take"))
  }

  @Test func slowLoadsAreWaitedFor() throws {
    let first = ScriptedBackend(kind: .coreml, beforeLoading: { Thread.sleep(forTimeInterval: 0.1) })
    #expect(try fallback(first, timeBox: .milliseconds(5)).load(package, units: .all).backend == .coreml)
    let failing = ScriptedBackend(
      kind: .coreml, loading: failure, beforeLoading: { Thread.sleep(forTimeInterval: 0.1) })
    #expect(throws: combined) { try fallback(failing, timeBox: .milliseconds(5)).load(package, units: .all) }
  }

  @Test func slowFunctionsAreWaitedFor() throws {
    let first = ScriptedBackend(kind: .coreml, opening: { _ in Thread.sleep(forTimeInterval: 0.1) })
    let model = try fallback(first, timeBox: .milliseconds(5)).load(package, units: .all)
    #expect(try model.predict([:]).keys.first == "coreml")
    #expect(notices.withLock { $0 }.isEmpty)
  }

  @Test func verdictsOfOthersDoNotCount() throws {
    let folder = try TemporaryFolder()
    let package = Fixture.package("linear")
    let store = VerdictStore(folder: folder.url)
    store.remember("slow", on: package, units: .all)
    var backend = fallback(ScriptedBackend(kind: .coreml))
    backend.verdicts = store
    #expect(try backend.load(package, units: .all).backend == .coreml)
  }
}
