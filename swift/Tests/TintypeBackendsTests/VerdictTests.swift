import Foundation
import TestSupport
import Testing

@testable import TintypeBackends

@Suite struct VerdictTests {
  private let folder: TemporaryFolder
  private let package: URL
  private let store: VerdictStore
  private let notices = Locked<[String]>([])
  private let mlx = ScriptedBackend(kind: .mlx)

  init() throws {
    folder = try TemporaryFolder()
    package = folder.url.appendingPathComponent("net.mlpackage")
    try FileManager.default.copyItem(at: Fixture.package("linear"), to: package)
    store = VerdictStore(folder: folder.url.appendingPathComponent("verdicts"), place: "system 1, chip 1")
  }

  private func fallback(_ first: ScriptedBackend, timeBox: Duration? = nil) -> FallbackBackend {
    let notices = self.notices
    return FallbackBackend(
      first: first, second: mlx, notice: { text in notices.withLock { $0.append(text) } }, verdicts: store,
      timeBox: timeBox)
  }

  private func failure(_ kind: BackendError.FailureKind) -> BackendError {
    .failed(backend: .coreml, kind: kind, message: "the reason")
  }

  private var files: [String] { (try? folder.names(in: "verdicts")) ?? [] }

  @Test func aFailedLoadIsRemembered() throws {
    let first = ScriptedBackend(kind: .coreml, loading: failure(.unsupported))
    #expect(try fallback(first).load(package, units: .cpuAndNeuralEngine).backend == .mlx)
    #expect(try fallback(first).load(package, units: .cpuAndNeuralEngine).backend == .mlx)
    #expect(first.loads.withLock { $0 } == 1)
    let verdict = try #require(store.verdict(on: package, units: .cpuAndNeuralEngine))
    #expect(verdict.reason == "the reason" && verdict.package == package.path)
    #expect(files.count == 1 && files[0].hasPrefix("net-ane-"))
    let texts = notices.withLock { $0 }
    #expect(texts.count == 2)
    let file = store.file(of: package, units: .cpuAndNeuralEngine)?.path ?? ""
    let values = ["package": "net", "reason": "the reason", "date": verdict.date, "file": file]
    #expect(texts[1] == (try AutoReasons().text("remembered", values)))
  }

  @Test func aFailedPredictionIsRemembered() throws {
    let first = ScriptedBackend(kind: .coreml, predicting: failure(.runtime))
    _ = try fallback(first).load(package, units: .all).predict([:])
    #expect(store.verdict(on: package, units: .all)?.reason == "the reason")
  }

  @Test func aVerdictIsAboutItsUnitsSystemAndContent() throws {
    store.remember("slow", on: package, units: .cpuAndNeuralEngine)
    #expect(store.verdict(on: package, units: .cpuAndGPU) == nil)
    #expect(
      VerdictStore(folder: store.folder, place: "system 2, chip 1").verdict(on: package, units: .cpuAndNeuralEngine)
        == nil)
    let weights = package.appendingPathComponent("Data/com.apple.CoreML/weights/weight.bin")
    try (Data(contentsOf: weights) + Data([0])).write(to: weights)
    #expect(store.verdict(on: package, units: .cpuAndNeuralEngine) == nil)
  }

  @Test(arguments: [BackendError.FailureKind.outOfMemory, .unavailable])
  func whatMayPassIsNotRemembered(_ kind: BackendError.FailureKind) throws {
    _ = try fallback(ScriptedBackend(kind: .coreml, loading: failure(kind))).load(package, units: .all)
    #expect(files.isEmpty)
  }

  @Test func damagedVerdictsAreIgnored() throws {
    store.remember("slow", on: package, units: .all)
    try Data("{".utf8).write(to: #require(store.file(of: package, units: .all)))
    #expect(store.verdict(on: package, units: .all) == nil)
    #expect(try fallback(ScriptedBackend(kind: .coreml)).load(package, units: .all).backend == .coreml)
  }

  @Test func aFolderThatCannotBeWrittenCostsOnlyTime() throws {
    let file = folder.url.appendingPathComponent("file")
    try Data().write(to: file)
    let blocked = VerdictStore(folder: file.appendingPathComponent("verdicts"))
    blocked.remember("slow", on: package, units: .all)
    #expect(blocked.verdict(on: package, units: .all) == nil)
  }

  @Test func slowLoadsAreLeftBehind() async throws {
    let release = DispatchSemaphore(value: 0)
    let first = ScriptedBackend(kind: .coreml, beforeLoading: { release.wait() })
    let model = try await fallback(first, timeBox: .milliseconds(20)).load(package, units: .all)
    #expect(model.backend == .mlx)
    #expect(store.verdict(on: package, units: .all)?.reason.hasPrefix("compiling and loading took longer") == true)
    // When it comes to an end after all, the verdict is withdrawn.
    release.signal()
    for _ in 0..<500 where store.verdict(on: package, units: .all) != nil {
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(store.verdict(on: package, units: .all) == nil)
  }

  @Test func slowFunctionsAreLeftBehind() async throws {
    let release = DispatchSemaphore(value: 0)
    let first = ScriptedBackend(kind: .coreml, opening: { _ in release.wait() })
    let model = FallbackModel(
      backends: fallback(first, timeBox: .milliseconds(20)), package: package, units: .all,
      model: try await first.load(package, units: .all))
    #expect(model.backend == .coreml)
    try model.prepare(function: nil)
    #expect(model.backend == .mlx)
    #expect(store.verdict(on: package, units: .all)?.reason.hasPrefix("compiling and loading took longer") == true)
    release.signal()
    for _ in 0..<500 where store.verdict(on: package, units: .all) != nil {
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(store.verdict(on: package, units: .all) == nil)
  }

  @Test func quickLoadsStayInTheirTimeBox() throws {
    let model = try fallback(ScriptedBackend(kind: .coreml), timeBox: .seconds(60)).load(package, units: .all)
    #expect(model.backend == .coreml)
    #expect(throws: failure(.io)) {
      try fallback(ScriptedBackend(kind: .coreml, loading: failure(.io)), timeBox: .seconds(60))
        .load(package, units: .all)
    }
  }

  @Test func numbersThatAreNotFiniteMoveOn() throws {
    let first = ScriptedBackend(kind: .coreml, value: .nan)
    let model = try fallback(first).load(package, units: .all)
    #expect(try model.predict([:])["mlx"]?.floats() == [0])
    #expect(model.backend == .mlx)
    #expect(store.verdict(on: package, units: .all)?.reason == "output \"coreml\" holds NaN or infinity on coreml")
  }

  @Test func modelsThatGiveInfinityEverywhereStay() throws {
    let backends = FallbackBackend(
      first: ScriptedBackend(kind: .coreml, value: .infinity), second: ScriptedBackend(kind: .mlx, value: .infinity),
      notice: { _ in }, verdicts: store)
    let model = try backends.load(package, units: .all)
    #expect(try model.predict([:])["coreml"]?.floats() == [.infinity])
    #expect(model.backend == .coreml)
    #expect(files.isEmpty)
  }
}
