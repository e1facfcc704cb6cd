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

  /// y = total + x; the program reads its state and does not write it.
  @Test func statesKeepWhatIsWrittenToThem() async throws {
    let model = try Compiled("stateful").model()
    #expect(model.modelDescription.stateDescriptionsByName["total"]?.stateConstraint?.bufferShape == [2])
    let input = try MLDictionaryFeatureProvider(dictionary: ["x": half([1, 2])])
    let (state, other) = (model.makeState(), model.makeState())
    func y(_ state: MLState) throws -> [Float] {
      let y = try model.prediction(from: input, using: state).featureValue(for: "y")?.multiArrayValue
      return try (0..<2).map { try #require(y)[$0].floatValue }
    }
    #expect(try y(state) == [1, 2])
    state.withMultiArray(for: "total") { total in
      #expect(total.shape == [2] && total.dataType == .float16)
      total[0] = 10
    }
    #expect(try y(state) == [11, 2])
    #expect(try y(other) == [1, 2])
    let result = try await model.prediction(from: input, using: state)
    #expect(result.featureValue(for: "y")?.multiArrayValue?[0] == 11)
  }

  @Test func statefulModelsNeedAState() throws {
    let model = try Compiled("stateful").model()
    let input = try MLDictionaryFeatureProvider(dictionary: ["x": half([1, 2])])
    let error = try #require(throws: MLModelError.self) { try model.prediction(from: input) }
    #expect(error.code == .featureType)
    #expect(error.errorDescription?.contains("makeState()") == true)
    let foreign = try Compiled("multi_output").model().makeState()
    #expect(throws: MLModelError.self) { try model.prediction(from: input, using: foreign) }
  }

  @Test func cancelledTasksPredictNothing() async throws {
    let model = try Compiled("multi_output").model()
    let input = try x(2)
    nonisolated(unsafe) let features = input
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      _ = try await model.prediction(from: features)
    }
    task.cancel()
    let error = await #expect(throws: MLModelError.self) { try await task.value }
    #expect(error?.code == .predictionCancelled)
  }

  private func half(_ values: [Float]) throws -> MLMultiArray {
    let array = try MLMultiArray(shape: [NSNumber(value: values.count)], dataType: .float16)
    for (index, value) in values.enumerated() { array[index] = NSNumber(value: value) }
    return array
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
