import Foundation
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
    #expect(notices.withLock { $0 } == ["coreml could not load net.mlpackage (the reason); using mlx"])
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
    #expect(notices.withLock { $0 } == ["coreml could not run net.mlpackage (the reason); using mlx"])
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

  @Test func namedBackendsAreStrict() {
    #expect(makeBackend(.mlx).kind == .mlx)
    #expect(makeBackend(.coreml).kind == .coreml)
    #expect(makeBackend(.mlx) is MLXBackend)
    #expect(makeBackend(.coreml) is CoreMLBackend)
  }

  @Test func autoIsCoreMLOnlyWhereItIsApples() {
    #expect(makeBackend(.auto).kind == (CoreMLPlatform.isApples ? .coreml : .mlx))
    #expect(CoreMLPlatform.isApples == (CoreMLPlatform.implementation == "apple"))
  }
}
