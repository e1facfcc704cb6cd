import TestSupport
import Testing

@testable import TintypeBackends

@Suite struct StateTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func model(_ kind: BackendKind, _ name: String = "stateful") throws -> any LoadedModel {
    let backend: any Backend = kind == .mlx ? MLXBackend() : CoreMLBackend(cacheFolder: folder.url)
    return try backend.load(Fixture.package(name), units: .cpuOnly)
  }

  private func half(_ values: [Float]) throws -> Tensor {
    try Tensor(shape: [values.count], floats: values).converted(to: .float16)
  }

  @Test(arguments: BackendKind.allCases) func statesAreReadAndWritten(_ kind: BackendKind) throws {
    let model = try model(kind)
    let state = try model.makeState(function: nil)
    #expect(try state.tensor(named: "total").floats() == [0, 0])
    let x = try half([1, 2])
    #expect(try model.predict(["x": x], options: PredictionOptions(state: state))["y"]?.floats() == [1, 2])
    try state.set("total", to: half([5, 6]))
    #expect(try model.predict(["x": x], options: PredictionOptions(state: state))["y"]?.floats() == [6, 8])
    #expect(try state.tensor(named: "total").floats() == [5, 6])
  }

  @Test(arguments: BackendKind.allCases) func wrongUsesAreErrors(_ kind: BackendKind) throws {
    let model = try model(kind)
    let x = try half([1, 2])
    let state = try model.makeState(function: nil)
    #expect(throws: BackendError.self) { try model.predict(["x": x]) }
    #expect(throws: BackendError.self) { try state.tensor(named: "absent") }
    let error = #expect(throws: BackendError.self) { try state.set("total", to: half([1])) }
    #expect(error?.description == "state \"total\" is float16 [2], got float16 [1]")
    #expect(throws: BackendError.self) { try self.model(kind, "linear").makeState(function: nil) }
    let other = try self.model(kind == .mlx ? .coreml : .mlx).makeState(function: nil)
    let foreign = #expect(throws: BackendError.self) {
      try model.predict(["x": x], options: PredictionOptions(state: other))
    }
    #expect(foreign?.description.hasPrefix("the state is another model's") == true)
  }

  @Test(arguments: BackendKind.allCases) func progressIsToldAndEndsIt(_ kind: BackendKind) throws {
    let model = try model(kind, "linear")
    let inputs = ["x": try Tensor(shape: [2, 3], floats: [Float](repeating: 0, count: 6))]
    let told = Locked<[Double]>([])
    _ = try model.predict(inputs, options: PredictionOptions { share in told.withLock { $0.append(share) } })
    #expect(told.withLock { $0.first == 0 && $0.last == 1 && $0 == $0.sorted() })
    #expect(throws: CancellationError.self) {
      try model.predict(inputs, options: PredictionOptions { _ in throw CancellationError() })
    }
  }
}
