import Foundation
import TestSupport
import Testing

@testable import TintypeBackends

@Suite struct SelfTestTests {
  private let folder: TemporaryFolder
  private let package: URL
  private let verdicts: VerdictStore
  private let x: Tensor

  init() throws {
    folder = try TemporaryFolder()
    package = folder.url.appendingPathComponent("linear.mlpackage")
    try FileManager.default.copyItem(at: Fixture.package("linear"), to: package)
    verdicts = VerdictStore(folder: folder.url.appendingPathComponent("verdicts"))
    x = try Tensor(shape: [2, 3], floats: [Float](repeating: 0, count: 6))
  }

  private func test(_ y: [Float], shape: [Int] = [2, 4]) throws -> SelfTest {
    SelfTest(inputs: ["x": x], expected: ["y": try Tensor(shape: shape, floats: y)], tolerance: 1e-3)
  }

  private let right: [Float] = [0, 1, 2, 3, 0, 1, 2, 3]

  @Test func theRightNumbersPass() throws {
    _ = try MLXBackend().load(package, units: .all, passing: test(right))
    _ = try MLXBackend().load(package, units: .all, passing: test(right.map { $0 + 0.002 }))
  }

  @Test func namedBackendsThrow() throws {
    let error = try #require(throws: BackendError.self) {
      try MLXBackend().load(package, units: .all, passing: test(right.map { $0 + 0.5 }))
    }
    #expect(
      error.description.hasPrefix("output \"y\" differs by 0.5 from what was recorded, at most 0.0035 is allowed"))
    let shape = try #require(throws: BackendError.self) {
      try MLXBackend().load(package, units: .all, passing: test(right, shape: [8]))
    }
    #expect(
      shape.description == "the self-test expects output \"y\" of shape [8], the model gives shape [2, 4]")
  }

  @Test func numbersThatAreNotFiniteFail() throws {
    let model = try ScriptedBackend(kind: .coreml, value: .nan).load(package, units: .all)
    let test = SelfTest(
      inputs: [:], expected: ["coreml": try Tensor(shape: [1], floats: [1])], tolerance: .greatestFiniteMagnitude)
    #expect(throws: BackendError.self) { try test.check(model) }
  }

  @Test func autoMovesOnAndRemembers() throws {
    let first = ScriptedBackend(kind: .coreml, value: 7)
    let second = ScriptedBackend(kind: .mlx, value: 8, output: "coreml")
    let notices = Locked<[String]>([])
    let backend = FallbackBackend(
      first: first, second: second, notice: { text in notices.withLock { $0.append(text) } }, verdicts: verdicts)
    let test = SelfTest(
      inputs: [:], expected: ["coreml": try Tensor(shape: [1], floats: [8])], tolerance: 1e-3)
    let model = try backend.load(package, units: .all, passing: test)
    #expect(model.backend == .mlx)
    let reason = try #require(verdicts.verdict(on: package, units: .all)?.reason)
    let text = try AutoReasons().text("self_test", ["package": "linear", "reason": reason])
    #expect(notices.withLock { $0 } == [text])
    #expect(verdicts.verdict(on: package, units: .all)?.reason.hasPrefix("output \"coreml\" differs by 1.0") == true)
    #expect(try backend.load(package, units: .all, passing: test).backend == .mlx)
    #expect(first.loads.withLock { $0 } == 1)
  }

  @Test func autoAsksOnce() throws {
    let first = ScriptedBackend(kind: .coreml, value: 7)
    let second = ScriptedBackend(kind: .mlx, value: 0, output: "coreml")
    let backend = FallbackBackend(first: first, second: second, notice: { _ in }, verdicts: verdicts)
    let passing = SelfTest(inputs: [:], expected: ["coreml": try Tensor(shape: [1], floats: [7])], tolerance: 0)
    let failing = SelfTest(inputs: [:], expected: ["coreml": try Tensor(shape: [1], floats: [0])], tolerance: 0)
    #expect(try backend.load(package, units: .all, passing: passing).backend == .coreml)
    #expect(verdicts.hasPassed(package, units: .all) && !verdicts.hasPassed(package, units: .cpuAndNeuralEngine))
    #expect(try backend.load(package, units: .all, passing: failing).backend == .coreml)
    #expect(try backend.load(package, units: .cpuAndNeuralEngine, passing: failing).backend == .mlx)
  }

  /// The second backend took over in the test, for a reason that may pass: the first one has shown nothing.
  @Test func aPassOnTheSecondIsNotTheFirsts() throws {
    let reason = BackendError.failed(backend: .coreml, kind: .outOfMemory, message: "the reason")
    let first = ScriptedBackend(kind: .coreml, predicting: reason)
    let second = ScriptedBackend(kind: .mlx, value: 8, output: "coreml")
    let backend = FallbackBackend(first: first, second: second, notice: { _ in }, verdicts: verdicts)
    let test = SelfTest(inputs: [:], expected: ["coreml": try Tensor(shape: [1], floats: [8])], tolerance: 0)
    #expect(try backend.load(package, units: .all, passing: test).backend == .mlx)
    #expect(!verdicts.hasPassed(package, units: .all))
  }

  @Test func aChunkOnTheSecondHasNotPassed() throws {
    let other = folder.url.appendingPathComponent("add.mlpackage")
    try FileManager.default.copyItem(at: Fixture.package("add"), to: other)
    verdicts.remember("slow", on: other, units: .all)
    let backend = FallbackBackend(
      first: ScriptedBackend(kind: .coreml), second: ScriptedBackend(kind: .mlx), notice: { _ in }, verdicts: verdicts)
    let test = SelfTest(inputs: [:], expected: [:], tolerance: 0)
    _ = try backend.load(chunks: [package, other], units: .all, passing: test)
    #expect(verdicts.hasPassed(package, units: .all) && !verdicts.hasPassed(other, units: .all))
  }

  @Test func aModelThatIsWrongEverywhereThrows() throws {
    let first = ScriptedBackend(kind: .coreml, value: 7)
    let second = ScriptedBackend(kind: .mlx, value: 6, output: "coreml")
    let backend = FallbackBackend(first: first, second: second, notice: { _ in }, verdicts: verdicts)
    let test = SelfTest(inputs: [:], expected: ["coreml": try Tensor(shape: [1], floats: [8])], tolerance: 1e-3)
    let error = try #require(throws: BackendError.self) { try backend.load(package, units: .all, passing: test) }
    #expect(error.description.hasSuffix("this system's kernels compute the model wrongly on mlx"))
  }

  @Test func coreMLRunsItOnceAndIsStrict() throws {
    let backend = CoreMLBackend(cacheFolder: folder.url)
    let wrong = try test(right.map { $0 + 0.5 })
    #expect(throws: BackendError.self) { try backend.load(package, units: .cpuOnly, passing: wrong) }
    _ = try backend.load(package, units: .cpuOnly, passing: test(right))
    // Passed once, so that it is not run again.
    _ = try backend.load(package, units: .cpuOnly, passing: wrong)
    #expect(throws: BackendError.self) { try backend.load(package, units: .all, passing: wrong) }
  }
}
