import CoreML
import TestSupport
import Testing

@Suite struct BatchAndStateTests {
  private func x(_ value: Float) throws -> any MLFeatureProvider {
    try MLDictionaryFeatureProvider(dictionary: [
      "x": MLMultiArray(MLShapedArray<Float>(repeating: value, shape: [2, 3]))
    ])
  }

  @Test func batchesGiveOneResultAnElement() throws {
    let model = try Compiled("multi_output").model()
    let results = try model.predictions(fromBatch: MLArrayBatchProvider(array: [x(1), x(2), x(3)]))
    #expect(results.count == 3)
    let totals = (0..<3).map { results.features(at: $0).featureValue(for: "total")?.multiArrayValue?[0] }
    #expect(totals == [3, 6, 9])
    #expect(try model.predictions(fromBatch: MLArrayBatchProvider(array: [])).count == 0)
  }

  @Test func batchesComeFromLists() throws {
    let batch = try MLArrayBatchProvider(dictionary: ["a": [1, 2], "b": ["x", "y"]])
    #expect(batch.count == 2)
    #expect(batch.features(at: 1).featureValue(for: "a")?.int64Value == 2)
    #expect(batch.features(at: 0).featureValue(for: "b")?.stringValue == "x")
    #expect(throws: MLModelError.self) { try MLArrayBatchProvider(dictionary: ["a": [1], "b": []]) }
  }

  @Test func oneWrongElementFailsTheBatch() throws {
    let wrong = try MLDictionaryFeatureProvider(dictionary: ["y": 1])
    let error = try #require(throws: MLModelError.self) {
      try Compiled("multi_output").model().predictions(fromBatch: MLArrayBatchProvider(array: [x(1), wrong]))
    }
    #expect(error.code == .featureType)
  }

  @Test func asynchronousPredictionsRun() async throws {
    let model = try Compiled("multi_output").model()
    let totals = try await withThrowingTaskGroup(of: Float?.self) { group in
      for value in 1...8 {
        group.addTask {
          try await model.prediction(from: x(Float(value))).featureValue(for: "total")?.multiArrayValue?[0].floatValue
        }
      }
      return try await group.reduce(into: Set<Float>()) { if let total = $1 { $0.insert(total) } }
    }
    #expect(totals == Set((1...8).map { Float(3 * $0) }))
  }

  @Test func cancelledTasksDoNotPredict() async throws {
    let model = try Compiled("multi_output").model()
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      _ = try await model.prediction(from: x(1))
    }
    await #expect {
      try await task.value
    } throws: {
      ($0 as? MLModelError)?.code == .predictionCancelled
    }
  }

  @Test func loadingWorksByCallback() async throws {
    let compiled = try Compiled("linear")
    let url = compiled.url
    let model = try await withCheckedThrowingContinuation { continuation in
      MLModel.load(contentsOf: url) { continuation.resume(with: $0) }
    }
    #expect(model.modelDescription.inputDescriptionsByName["x"] != nil)
  }

  @Test func statelessModelsAcceptTheirEmptyState() async throws {
    let model = try Compiled("multi_output").model()
    let state = model.makeState()
    #expect(model.modelDescription.stateDescriptionsByName.isEmpty)
    let asynchronous = try await model.prediction(from: x(2), using: state)
    #expect(asynchronous.featureValue(for: "total")?.multiArrayValue?[0] == 6)
  }

  @Test func statelessModelsPredictSynchronously() throws {
    let model = try Compiled("multi_output").model()
    let result = try model.prediction(from: x(2), using: model.makeState())
    #expect(result.featureValue(for: "total")?.multiArrayValue?[0] == 6)
  }

  /// The engine keeps states, but this target hands it none yet: a reason, where a Mac runs it.
  @Test func statefulModelsAreRefusedWithAReason() throws {
    let error = try #require(throws: MLModelError.self) {
      let model = try Compiled("stateful").model()
      let state = model.makeState()
      let input = try MLDictionaryFeatureProvider(dictionary: ["x": MLMultiArray(shape: [2], dataType: .float16)])
      _ = try model.prediction(from: input, using: state)
    }
    #expect(error.code == .generic)
    #expect(error.errorDescription?.contains("state") == true)
  }

  @Test func backingsMayBePadded() throws {
    let backing = MLMultiArray(shape: [2, 3], dataType: .float32, strides: [4, 1])
    backing.withUnsafeMutableBufferPointer(ofType: Float.self) { pointer, _ in pointer[3] = -1 }
    let options = MLPredictionOptions()
    options.outputBackings = ["squared": backing]
    let result = try Compiled("multi_output").model().prediction(from: x(3), options: options)
    #expect(result.featureValue(for: "squared")?.multiArrayValue === backing)
    #expect((0..<6).allSatisfy { backing[$0] == 9 })
    backing.withUnsafeBufferPointer(ofType: Float.self) { #expect(Array($0) == [9, 9, 9, -1, 9, 9, 9]) }
  }
}
