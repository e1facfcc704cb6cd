import CoreML
import TestSupport
import Testing

@Suite struct PredictionTests {
  private func array(_ values: [Double], shape: [NSNumber], _ type: MLMultiArrayDataType) throws -> MLMultiArray {
    let array = try MLMultiArray(shape: shape, dataType: type)
    for (index, value) in values.enumerated() { array[index] = NSNumber(value: value) }
    return array
  }

  private func values(_ provider: any MLFeatureProvider, _ name: String) throws -> [Double] {
    let array = try #require(provider.featureValue(for: name)?.multiArrayValue)
    return (0..<array.count).map { array[$0].doubleValue }
  }

  private func x(_ type: MLMultiArrayDataType = .float32) throws -> any MLFeatureProvider {
    try MLDictionaryFeatureProvider(dictionary: ["x": array([1, 2, 3, 4, 5, 6], shape: [2, 3], type)])
  }

  @Test func givesEveryOutput() throws {
    let result = try Compiled("multi_output").model().prediction(from: x())
    #expect(result.featureNames == ["negated", "squared", "total"])
    #expect(try values(result, "squared") == [1, 4, 9, 16, 25, 36])
    #expect(try values(result, "total") == [6, 15])
  }

  @Test(arguments: [MLMultiArrayDataType.double, .float16, .int32, .int8])
  func convertsOtherNumbers(_ type: MLMultiArrayDataType) throws {
    let result = try Compiled("multi_output").model().prediction(from: x(type))
    #expect(try values(result, "negated") == [-1, -2, -3, -4, -5, -6])
  }

  @Test func keepsHalfAndIntegerTypes() throws {
    let half = try Compiled("half").model().prediction(
      from: MLDictionaryFeatureProvider(dictionary: [
        "x": array(Array(0..<8).map(Double.init), shape: [2, 4], .float16)
      ]))
    #expect(half.featureValue(for: "y")?.multiArrayValue?.dataType == .float16)
    #expect(try values(half, "y") == [1, 3, 5, 7, 9, 11, 13, 15])
    let integer = try Compiled("integer").model().prediction(
      from: MLDictionaryFeatureProvider(dictionary: ["ids": array([1, 2, 3, 4, 5], shape: [1, 5], .int32)]))
    #expect(integer.featureValue(for: "doubled")?.multiArrayValue?.dataType == .int32)
    #expect(try values(integer, "doubled") == [2, 4, 6, 8, 10])
  }

  @Test(
    arguments: [
      ([1, 2, 3, -1, 4, 5, 6, -1], [4, 1]), ([1, 4, 2, 5, 3, 6], [1, 2]),
    ] as [([Float], [NSNumber])])
  func readsPaddedAndTransposedInputs(_ memory: [Float], _ strides: [NSNumber]) throws {
    var memory = memory
    let result = try memory.withUnsafeMutableBytes { bytes in
      let input = try MLMultiArray(
        dataPointer: #require(bytes.baseAddress), shape: [2, 3], dataType: .float32, strides: strides)
      return try Compiled("multi_output").model().prediction(
        from: MLDictionaryFeatureProvider(dictionary: ["x": input]))
    }
    #expect(try values(result, "negated") == [-1, -2, -3, -4, -5, -6])
  }

  @Test func runsTheConfiguredFunction() throws {
    let compiled = try Compiled("two_functions")
    #expect(try values(compiled.model().prediction(from: x()), "y") == [2, 4, 6, 8, 10, 12])
    let thrice = try compiled.model { $0.functionName = "thrice" }
    #expect(try values(thrice.prediction(from: x()), "y") == [3, 6, 9, 12, 15, 18])
  }

  @Test func ignoresFeaturesItDoesNotKnow() throws {
    let input = try MLDictionaryFeatureProvider(dictionary: [
      "x": array([1, 2, 3, 4, 5, 6], shape: [2, 3], .float32), "other": "text",
    ])
    #expect(try values(Compiled("multi_output").model().prediction(from: input), "total") == [6, 15])
  }

  @Test func writesToBackingsThatFit() throws {
    let options = MLPredictionOptions()
    let fitting = try MLMultiArray(shape: [2], dataType: .float32)
    options.outputBackings = ["total": fitting, "unknown": "ignored"]
    let result = try Compiled("multi_output").model().prediction(from: x(), options: options)
    #expect(result.featureValue(for: "total")?.multiArrayValue === fitting)
    #expect(fitting[1] == 15)
    #expect(try values(result, "squared")[5] == 36)
  }

  @Test func halfPixelsTakeWiderFloats() throws {
    var buffer: CVPixelBuffer?
    CVPixelBufferCreate(nil, 3, 2, kCVPixelFormatType_OneComponent16Half, nil, &buffer)
    let backing = MLMultiArray(pixelBuffer: try #require(buffer), shape: [2, 3])
    let options = MLPredictionOptions()
    options.outputBackings = ["squared": backing]
    let result = try Compiled("multi_output").model().prediction(from: x(), options: options)
    #expect(result.featureValue(for: "squared")?.multiArrayValue === backing)
    #expect(try values(result, "squared") == [1, 4, 9, 16, 25, 36])
  }

  @Test(
    arguments: [
      ([2, 3], .double, "a double array of shape [2, 3]"), ([2, 4], .float32, "a float32 array of shape [2, 4]"),
      ([3], .float32, "a float32 array of shape [3]"), ([2, 3], .float16, "a float16 array of shape [2, 3]"),
    ] as [([NSNumber], MLMultiArrayDataType, String)])
  func backingsThatDoNotFitAreFeatureTypeErrors(
    _ shape: [NSNumber], _ type: MLMultiArrayDataType, _ text: String
  ) throws {
    let backing = try MLMultiArray(shape: shape, dataType: type)
    #expect(try refusal(of: backing) == text)
  }

  @Test func otherObjectsAreNoBackings() throws {
    #expect(
      try refusal(of: [Float](repeating: 0, count: 6)) == "a Array<Float>, neither MLMultiArray nor CVPixelBuffer")
  }

  /// What the error says that "squared" (float32, 2 × 3) was given.
  private func refusal(of backing: Any) throws -> String {
    let options = MLPredictionOptions()
    options.outputBackings = ["squared": backing]
    let error = try #require(throws: MLModelError.self) {
      try Compiled("multi_output").model().prediction(from: x(), options: options)
    }
    #expect(error.code == .featureType)
    let text = try #require(error.errorDescription)
    let start = "The output backing for feature 'squared' does not match the model's description: it is "
    #expect(text.hasPrefix(start))
    return String(text.dropFirst(start.count).dropLast())
  }

  @Test(
    arguments: [
      (nil, "Feature x is required but not specified."),
      (
        [1, 6],
        "For input feature 'x', the provided shape (1 × 6) is not compatible with the model's feature "
          + "description (2 × 3)."
      ),
      (
        [6], "According to model description, feature 'x' must be of rank 2, instead got a multi-array value of rank 1."
      ),
    ] as [([NSNumber]?, String)])
  func wrongInputsAreFeatureTypeErrors(_ shape: [NSNumber]?, _ text: String) throws {
    let features = try shape.map { ["x": try MLMultiArray(shape: $0, dataType: .float32)] } ?? [:]
    let error = try #require(throws: MLModelError.self) {
      try Compiled("linear").model().prediction(from: MLDictionaryFeatureProvider(dictionary: features))
    }
    #expect(error.code == .featureType)
    #expect(error.errorDescription == text)
  }

  @Test func wrongKindsAreFeatureTypeErrors() throws {
    let error = try #require(throws: MLModelError.self) {
      try Compiled("linear").model().prediction(from: MLDictionaryFeatureProvider(dictionary: ["x": "text"]))
    }
    #expect(error.errorDescription == "Feature x must be a multi-array, got a value of type string.")
  }
}
