import CoreML
import TestSupport
import Testing

/// One row for each failure that Core ML gives a code of its own: what is asked, the code, and what the text names.
@Suite struct ErrorTableTests {
  struct Row: Sendable, CustomTestStringConvertible {
    let name: String
    let code: MLModelError.Code
    let text: String
    let ask: @Sendable () async throws -> Void
    var testDescription: String { name }
  }

  private static func predict(_ package: String, _ features: [String: Any]) throws {
    _ = try Compiled(package).model().prediction(from: MLDictionaryFeatureProvider(dictionary: features))
  }

  private static func array(_ shape: [NSNumber]) throws -> MLMultiArray {
    try MLMultiArray(shape: shape, dataType: .float32)
  }

  static let rows: [Row] = [
    Row(name: "no file", code: .io, text: "absent.mlpackage") {
      _ = try await MLModel.compileModel(at: Fixture.package("absent"))
    },
    Row(name: "no compiled model", code: .io, text: "nowhere.mlmodelc") {
      _ = try MLModel(contentsOf: URL(fileURLWithPath: "/nowhere.mlmodelc"))
    },
    Row(name: "not compiled", code: .io, text: "compileModel") {
      _ = try await MLModel.load(contentsOf: Fixture.package("linear"))
    },
    Row(name: "damaged model", code: .generic, text: "model.mlmodel") {
      _ = try await MLModel.compileModel(at: Fixture.package("damaged"))
    },
    Row(name: "damaged weights", code: .generic, text: "weight.bin") {
      _ = try await MLModel.compileModel(at: Fixture.package("truncated"))
    },
    Row(name: "unknown function", code: .generic, text: "fourfold") {
      _ = try Compiled("two_functions").model { $0.functionName = "fourfold" }
    },
    Row(name: "missing feature", code: .featureType, text: "x is required") { try predict("linear", [:]) },
    Row(name: "wrong name", code: .featureType, text: "x is required") {
      try predict("linear", ["X": array([2, 3])])
    },
    Row(name: "wrong type", code: .featureType, text: "multi-array") { try predict("linear", ["x": "text"]) },
    Row(name: "wrong type of an image", code: .featureType, text: "image") {
      try predict("image_rgb", ["x": array([2, 3])])
    },
    Row(name: "wrong shape", code: .featureType, text: "(2 × 4)") { try predict("linear", ["x": array([2, 4])]) },
    Row(name: "wrong rank", code: .featureType, text: "rank 1") { try predict("linear", ["x": array([6])]) },
    Row(name: "shape out of range", code: .featureType, text: "(9 × 3)") {
      try predict("ranges", ["x": array([9, 3])])
    },
    Row(name: "no state", code: .featureType, text: "makeState()") {
      try predict("stateful", ["x": MLMultiArray(shape: [2], dataType: .float16)])
    },
    Row(name: "no feature value", code: .featureType, text: "'x'") {
      _ = try MLDictionaryFeatureProvider(dictionary: ["x": Date()])
    },
    Row(name: "mixed keys", code: .featureType, text: "all strings or all integers") {
      _ = try MLFeatureValue(dictionary: ["a": 1, 2: 2])
    },
    Row(name: "uneven batch", code: .generic, text: "equally long") {
      _ = try MLArrayBatchProvider(dictionary: ["a": [1], "b": []])
    },
    Row(name: "impossible shape", code: .generic, text: "no multi-array") { _ = try array([-1]) },
    Row(name: "cancelled", code: .predictionCancelled, text: "cancelled") {
      let model = try Compiled("multi_output").model()
      let task = Task {
        withUnsafeCurrentTask { $0?.cancel() }
        _ = try await model.prediction(from: MLDictionaryFeatureProvider(dictionary: ["x": array([2, 3])]))
      }
      try await task.value
    },
  ]

  @Test(arguments: rows) func failuresHaveTheirCodes(_ row: Row) async throws {
    let error = await #expect(throws: MLModelError.self) { try await row.ask() }
    #expect(error?.code == row.code)
    #expect(error?.errorDescription?.contains(row.text) == true, "\(error?.errorDescription ?? "")")
  }
}
