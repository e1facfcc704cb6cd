import CoreML
import Testing

@Suite struct FeatureTests {
  @Test func valuesKnowTheirType() throws {
    let array = try MLMultiArray(shape: [1], dataType: .int32)
    #expect(MLFeatureValue(multiArray: array).multiArrayValue === array)
    #expect(MLFeatureValue(multiArray: array).type == .multiArray)
    #expect(MLFeatureValue(int64: 3).int64Value == 3)
    #expect(MLFeatureValue(double: 2.5).doubleValue == 2.5)
    #expect(MLFeatureValue(string: "a").stringValue == "a")
    #expect(MLFeatureValue(undefined: .multiArray).isUndefined)
    #expect(MLFeatureValue(undefined: .multiArray).type == .multiArray)
  }

  /// As Apple documents: the value of another type is zero, empty or nil.
  @Test func otherValuesAreEmpty() {
    let value = MLFeatureValue(string: "a")
    #expect(value.int64Value == 0 && value.doubleValue == 0 && value.multiArrayValue == nil)
    #expect(MLFeatureValue(int64: 1).stringValue.isEmpty)
    #expect(!value.isUndefined)
  }

  @Test func providersWrapPlainValues() throws {
    let array = try MLMultiArray(shape: [1], dataType: .int32)
    let provider = try MLDictionaryFeatureProvider(dictionary: [
      "array": array, "value": MLFeatureValue(int64: 1), "text": "t", "integer": 2, "real": 2.5,
    ])
    #expect(provider.featureNames == ["array", "value", "text", "integer", "real"])
    #expect(provider.featureValue(for: "array")?.multiArrayValue === array)
    #expect(provider["integer"]?.int64Value == 2)
    #expect(provider["real"]?.doubleValue == 2.5)
    #expect(provider["text"]?.stringValue == "t")
    #expect(provider["absent"] == nil)
  }

  @Test func providersRefuseOtherObjects() throws {
    let error = try #require(throws: MLModelError.self) {
      try MLDictionaryFeatureProvider(dictionary: ["x": [1, 2]])
    }
    #expect(error.code == .featureType)
    #expect(error.errorDescription == "feature 'x' has a value of type Array<Int>, which is no feature value")
  }

  @Test func dictionariesAndSequences() throws {
    let dictionary = try MLFeatureValue(dictionary: ["cat": 0.75, "dog": 0.25])
    #expect(dictionary.type == .dictionary && dictionary.dictionaryValue["cat"] == 0.75)
    #expect(throws: MLModelError.self) { try MLFeatureValue(dictionary: ["cat": 1, 2: 2]) }
    let strings = MLFeatureValue(sequence: MLSequence(strings: ["a", "b"]))
    #expect(strings.type == .sequence && strings.sequenceValue?.stringValues == ["a", "b"])
    #expect(MLSequence(int64s: [1, 2]).type == .int64 && MLSequence(empty: .string).stringValues.isEmpty)
    #expect(dictionary.sequenceValue == nil && strings.dictionaryValue.isEmpty)
    let provider = try MLDictionaryFeatureProvider(dictionary: ["names": ["a", "b"], "scores": ["a": 1.0]])
    #expect(provider["names"]?.type == .sequence)
  }

  @Test func valuesCompare() throws {
    let left = MLFeatureValue(shapedArray: MLShapedArray<Float>(scalars: [1, 2], shape: [2]))
    let right = MLFeatureValue(shapedArray: MLShapedArray<Float>(scalars: [1, 2], shape: [2]))
    #expect(left.isEqual(to: right))
    #expect(!left.isEqual(to: MLFeatureValue(shapedArray: MLShapedArray<Float>(scalars: [1, 3], shape: [2]))))
    #expect(!left.isEqual(to: MLFeatureValue(int64: 1)))
    #expect(MLFeatureValue(string: "a").isEqual(to: MLFeatureValue(string: "a")))
  }

  @Test func rawValuesAreApples() {
    #expect(
      [MLFeatureType.invalid, .int64, .double, .string, .image, .multiArray, .dictionary, .sequence, .state]
        .map(\.rawValue) == Array(0...8))
    #expect([MLComputeUnits.cpuOnly, .cpuAndGPU, .all, .cpuAndNeuralEngine].map(\.rawValue) == [0, 1, 2, 3])
    #expect([MLMultiArrayShapeConstraintType.unspecified, .enumerated, .range].map(\.rawValue) == [1, 2, 3])
    #expect(
      [
        MLModelError.Code.generic, .featureType, .io, .customLayer, .customModel, .update, .parameters,
        .modelDecryptionKeyFetch, .modelDecryption, .modelCollection, .predictionCancelled,
      ].map(\.rawValue) == [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  }

  #if !TINTYPE_ESSENTIALS_ONLY
    @Test func errorsBridgeToNSError() {
      let error = MLModelError(.featureType, userInfo: [NSLocalizedDescriptionKey: "text"]) as NSError
      #expect(error.domain == "com.apple.CoreML")
      #expect(error.code == 1)
      #expect(error.localizedDescription == "text")
    }
  #endif

  /// What code written against Core ML does.
  @Test func errorsMatchByCode() {
    do {
      throw MLModelError(.io)
    } catch MLModelError.io {
      // As it should be.
    } catch {
      Issue.record("the code pattern does not match \(error)")
    }
  }
}
