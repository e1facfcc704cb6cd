import Foundation
import Testing

@testable import TintypeBackends

/// A model that does what a closure says, with one function or several.
private struct Part: LoadedModel {
  let backend = BackendKind.mlx
  let modelDescription: ModelDescription
  let run: @Sendable ([String: Tensor], String?) throws -> [String: Tensor]
  let opened = Locked<[String?]>([])

  init(
    _ inputs: [String: ElementType], _ outputs: [String: ElementType], functions: [String] = ["main"], extent: Int = 1,
    run: @escaping @Sendable ([String: Tensor], String?) throws -> [String: Tensor]
  ) {
    func features(_ types: [String: ElementType], _ extent: Int) -> [FeatureDescription] {
      types.sorted { $0.key < $1.key }.map {
        FeatureDescription(name: $0.key, elementType: $0.value, shape: [extent])
      }
    }
    modelDescription = ModelDescription(
      functions: functions.enumerated().map { index, name in
        FunctionDescription(
          name: name, inputs: features(inputs, extent + index), outputs: features(outputs, extent + index))
      })
    self.run = run
  }

  func prepare(function: String?) throws { opened.withLock { $0.append(function) } }

  func predict(_ inputs: [String: Tensor], function: String?) throws -> [String: Tensor] { try run(inputs, function) }
}

/// A model that gives nothing, with features of any shape.
private struct Fixed: LoadedModel {
  let backend = BackendKind.coreml
  let modelDescription: ModelDescription

  init(_ inputs: [FeatureDescription], _ outputs: [FeatureDescription], states: [FeatureDescription] = []) {
    modelDescription = ModelDescription(
      functions: [FunctionDescription(name: "main", inputs: inputs, outputs: outputs, states: states)])
  }

  func predict(_ inputs: [String: Tensor], function: String?) throws -> [String: Tensor] { [:] }
}

/// hidden = latent + context, in float16; velocity = hidden · scale
private func chunks(_ functions: [String] = ["main"], asked: Locked<[String?]> = Locked([])) throws -> ChunkedModel {
  try ChunkedModel([
    Part(["latent": .float32, "context": .float32], ["hidden": .float16], functions: functions) { inputs, function in
      asked.withLock { $0.append(function) }
      let sum = zip(inputs["latent"]?.floats() ?? [], inputs["context"]?.floats() ?? []).map(+)
      return ["hidden": try Tensor(shape: [sum.count], floats: sum).converted(to: .float16)]
    },
    Part(["hidden": .float16, "scale": .float32], ["velocity": .float32], functions: functions) { inputs, function in
      asked.withLock { $0.append(function) }
      #expect(inputs["hidden"]?.elementType == .float16 && inputs.count == 2)
      let scale = inputs["scale"]?.floats().first ?? 0
      let values = inputs["hidden"]?.floats().map { $0 * scale } ?? []
      return ["velocity": try Tensor(shape: [values.count], floats: values)]
    },
  ])
}

@Suite struct ChunkedModelTests {
  private func one(_ value: Float) throws -> Tensor { try Tensor(shape: [1], floats: [value]) }

  @Test func theyLookLikeOneModel() throws {
    let model = try chunks()
    #expect(Set(model.modelDescription.inputs.map(\.name)) == ["latent", "context", "scale"])
    #expect(model.modelDescription.outputs.map(\.name) == ["velocity"])
    let outputs = try model.predict(["latent": one(1), "context": one(2), "scale": one(10)])
    #expect(outputs.mapValues { $0.floats() } == ["velocity": [30]])
  }

  @Test func everyChunkRunsTheFunction() throws {
    let asked = Locked<[String?]>([])
    let model = try chunks(["main", "size_32x16"], asked: asked)
    #expect(model.modelDescription.functions.map(\.name) == ["main", "size_32x16"])
    let two = try Tensor(shape: [2], floats: [1, 2])
    let outputs = try model.predict(["latent": two, "context": two, "scale": two], function: "size_32x16")
    #expect(outputs["velocity"]?.floats() == [2, 4])
    #expect(asked.withLock { $0 } == ["size_32x16", "size_32x16"])
    #expect(throws: BackendError.unknownFunction(name: "size_1x1", known: ["main", "size_32x16"])) {
      try model.predict([:], function: "size_1x1")
    }
  }

  @Test func everyChunkOpensTheFunction() throws {
    let model = try chunks(["main", "size_32x16"])
    try model.prepare(function: "size_32x16")
    try model.prepare(function: nil)
    let opened = model.chunks.compactMap { ($0 as? Part)?.opened.withLock { $0 } }
    #expect(opened == [["size_32x16", "main"], ["size_32x16", "main"]])
  }

  @Test func strangeInputsAreRefused() throws {
    let error = try #require(throws: BackendError.self) { try chunks().predict(["hidden": one(1)]) }
    #expect(error == .unknownInput(name: "hidden", known: ["context", "latent", "scale"]))
  }

  @Test func chunksMustFit() {
    let error = #expect(throws: BackendError.self) {
      try ChunkedModel([
        Part(["a": .float32], ["b": .float16]) { _, _ in [:] }, Part(["b": .float32], ["c": .float32]) { _, _ in [:] },
      ])
    }
    #expect(error?.description.hasPrefix("chunk 2 takes \"b\" as float32 [1], but an earlier one gives it as") == true)
  }

  @Test(arguments: BackendKind.allCases) func noChunksAreNoModel(_ kind: BackendKind) throws {
    let fallback = FallbackBackend(
      first: ScriptedBackend(kind: kind), second: ScriptedBackend(kind: .mlx), notice: { _ in })
    for backend in [ScriptedBackend(kind: kind), fallback] as [any Backend] {
      let error = #expect(throws: BackendError.self) { try backend.load(chunks: [], units: .all, passing: nil) }
      #expect(error?.kind == .invalidArgument)
      #expect(
        error?.description.hasPrefix("no packages were given: name one, or a model's chunks in the order") == true)
    }
  }

  @Test func statesAreRefused() throws {
    let chunk = try chunks().chunks[0]
    let stateful = Fixed(
      [FeatureDescription(name: "hidden", elementType: .float16, shape: [1])], [],
      states: [FeatureDescription(name: "cache", elementType: .float16, shape: [1])])
    let error = #expect(throws: BackendError.self) { try ChunkedModel([chunk, stateful]) }
    #expect(error?.kind == .unsupported)
    #expect(
      error?.description
        == "chunk 2 keeps the state \"cache\" between predictions, which chunks cannot: convert the model to one "
        + "package")
    final class State: ModelState {
      func tensor(named name: String) throws -> Tensor { try Tensor(shape: [1], floats: [0]) }
      func set(_ name: String, to tensor: Tensor) throws {}
    }
    let inputs = ["latent": try one(1), "context": try one(2), "scale": try one(10)]
    #expect(throws: BackendError.noStates(.mlx)) {
      try chunks().predict(inputs, options: PredictionOptions(state: State()))
    }
  }

  /// What Core ML does not know before a prediction is no reason to refuse a model.
  @Test(arguments: [nil, [-1], [1, -1]] as [[Int]?]) func unknownShapesMayFit(_ shape: [Int]?) throws {
    let first = Fixed([], [FeatureDescription(name: "b", elementType: .float32, shape: shape)])
    let second = Fixed([FeatureDescription(name: "b", elementType: .float32, shape: [4])], [])
    if shape?.count == 2 {
      let error = #expect(throws: BackendError.self) { try ChunkedModel([first, second]) }
      #expect(error?.description.contains("an earlier one gives it as float32 [1, -1]") == true)
    } else {
      #expect(try ChunkedModel([first, second]).modelDescription.functions.count == 1)
    }
  }

  @Test func progressGoesOnAndEndsIt() throws {
    let inputs = ["latent": try one(1), "context": try one(2), "scale": try one(10)]
    let seen = Locked<[Double]>([])
    _ = try chunks().predict(inputs, options: PredictionOptions { share in seen.withLock { $0.append(share) } })
    #expect(seen.withLock { $0 } == [0, 0.5, 0.5, 1])
    let asked = Locked<[String?]>([])
    #expect(throws: CancellationError.self) {
      try chunks(asked: asked).predict(
        inputs, options: PredictionOptions { if $0 >= 0.5 { throw CancellationError() } })
    }
    #expect(asked.withLock(\.count) == 1)
  }
}
