import CoreML
import Foundation
import TestSupport
import Testing

@testable import TintypeBackends

@Suite struct ComputePlanTests {
  private let folder: TemporaryFolder
  private let backend: CoreMLBackend

  init() throws {
    folder = try TemporaryFolder()
    backend = CoreMLBackend(cacheFolder: folder.url)
  }

  @Test func everyOperationHasADevice() async throws {
    let report = try await backend.computePlan(of: Fixture.package("multi_output"), units: .all)
    #expect(report.function == "main")
    #expect(report.devices.values.reduce(0) { $0 + $1.operations } >= 3)
    if !CoreMLPlatform.isApples {
      #expect(report.devices == ["cpu": .init(operations: 3, cost: nil)])
      #expect(report.elsewhere.isEmpty)
    }
  }

  @Test func functionsHaveTheirOwnPlans() async throws {
    let package = Fixture.package("two_functions")
    #expect(try await backend.computePlan(of: package, units: .cpuOnly, function: "thrice").function == "thrice")
    // Without a name, the package's default one, which is not the first by name.
    #expect(try await backend.computePlan(of: package, units: .cpuOnly).function == "twice")
    await #expect(throws: BackendError.unknownFunction(name: "absent", known: ["thrice", "twice"])) {
      try await backend.computePlan(of: package, units: .cpuOnly, function: "absent")
    }
  }

  /// Compiling takes minutes: it must leave Swift's own threads, as many as processors, to others.
  @Test func compilingHoldsNoThreadOfSwifts() async throws {
    let gate = DispatchSemaphore(value: 0)
    let isOpened = Locked(true)
    let count = 2 * ProcessInfo.processInfo.activeProcessorCount
    let begun = Locked(0)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<count {
        let backend = CoreMLBackend(cacheFolder: folder.url.appendingPathComponent("\(index)")) { _ in
          begun.withLock { $0 += 1 }
          if gate.wait(timeout: .now() + 20) == .timedOut { isOpened.withLock { $0 = false } }
        }
        group.addTask { _ = try await backend.computePlan(of: Fixture.package("linear"), units: .cpuOnly) }
      }
      // Reached only while all of them wait, if threads are left.
      while begun.withLock({ $0 }) < count, isOpened.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(5)) }
      for _ in 0..<count { gate.signal() }
      try await group.waitForAll()
    }
    #expect(isOpened.withLock { $0 })
  }

  @Test func coreMLIsToldTheFunction() throws {
    #expect(try MLModelConfiguration(units: .cpuOnly, function: "thrice").functionName == "thrice")
    #expect(try MLModelConfiguration(units: .cpuOnly, function: nil).functionName == nil)
  }

  #if os(Linux)
    /// `cond` with a block of one `add`, within the layout of a portable compiled model.
    @Test func operationsOfInnerBlocksCount() async throws {
      let add = wireField(3, wireField(1, "add"))
      let cond = wireField(3, wireField(1, "cond") + wireField(4, add))
      let function = wireField(2, "CoreML7") + wireField(3, wireField(1, "CoreML7") + wireField(2, cond + add))
      let program = wireField(502, wireField(2, wireField(1, "main") + wireField(2, function)))
      let compiled = folder.url.appendingPathComponent("net.mlmodelc")
      let inside = compiled.appendingPathComponent("model.mlpackage/Data/com.apple.CoreML")
      try FileManager.default.createDirectory(at: inside, withIntermediateDirectories: true)
      try Data(program).write(to: inside.appendingPathComponent("model.mlmodel"))
      try FileManager.default.copyItem(
        at: Fixture.package("add").appendingPathComponent("Manifest.json"),
        to: compiled.appendingPathComponent("model.mlpackage/Manifest.json"))
      let report = try await backend.computePlan(of: compiled, units: .all)
      #expect(report.devices == ["cpu": .init(operations: 3, cost: nil)])
    }
  #endif

  @Test func missingPackagesAreNamed() async throws {
    await #expect {
      try await backend.computePlan(of: Fixture.package("absent"), units: .all)
    } throws: {
      ($0 as? BackendError)?.kind == .io
    }
  }

  @Test func operationsOffTheMainDeviceAreListed() throws {
    func operation(_ name: String, _ device: ComputePlanReport.Device) -> ComputePlanReport.Operation {
      .init(name: name, output: name, device: device, supported: [.cpu, device])
    }
    let report = ComputePlanReport(
      function: "main",
      operations: [
        (operation("a", .neuralEngine), 0.5), (operation("b", .cpu), 0.25), (operation("c", .neuralEngine), 0.25),
      ])
    #expect(
      report.devices
        == ["neural_engine": .init(operations: 2, cost: 0.75), "cpu": .init(operations: 1, cost: 0.25)])
    #expect(report.elsewhere.map(\.name) == ["b"])
    #expect(report.share(of: .neuralEngine) == 0.75 && report.share(of: .gpu) == 0)
    let uncosted = ComputePlanReport(
      function: "main", operations: [(operation("a", .cpu), nil), (operation("b", .gpu), nil)])
    #expect(uncosted.share(of: .cpu) == 0.5 && uncosted.share(of: .neuralEngine) == 0)
    #expect(ComputePlanReport(function: "main", operations: []).share(of: .cpu) == 0)
    let data = try JSONEncoder().encode(report)
    #expect(try JSONDecoder().decode(ComputePlanReport.self, from: data) == report)
  }
}
