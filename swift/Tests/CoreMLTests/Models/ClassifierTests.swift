import CoreML
import TestSupport
import Testing

/// Packages whose class is x / sum(x); `colors` takes a picture and compares its channels' means.
@Suite struct ClassifierTests {
  private func x(_ values: [Float] = [1, 2, 1]) throws -> any MLFeatureProvider {
    try MLDictionaryFeatureProvider(dictionary: ["x": MLMultiArray(MLShapedArray(scalars: values, shape: [1, 3]))])
  }

  @Test func classifiersSayWhatTheyPredict() throws {
    let description = try Compiled("texts").model().modelDescription
    #expect(description.predictedFeatureName == "classLabel")
    #expect(description.predictedProbabilitiesName == "classLabel_probs")
    #expect(description.classLabels as? [String] == ["cat", "dog", "owl"])
    let label = try #require(description.outputDescriptionsByName["classLabel"])
    #expect(label.type == .string && label.multiArrayConstraint == nil && !label.isOptional)
    let shares = try #require(description.outputDescriptionsByName["classLabel_probs"])
    #expect(shares.type == .dictionary && shares.dictionaryConstraint?.keyType == .string)
    #expect(description.inputDescriptionsByName["x"]?.type == .multiArray)
  }

  @Test func numbersAreLabelsToo() throws {
    let model = try Compiled("integers").model()
    let labels = try #require(model.modelDescription.classLabels)
    #expect((labels as? [NSNumber])?.map(\.int64Value) == [70, 40, 90])
    let outputs = model.modelDescription.outputDescriptionsByName
    #expect(outputs["classLabel"]?.type == .int64)
    #expect(outputs["classLabel_probs"]?.dictionaryConstraint?.keyType == .int64)
    let result = try model.prediction(from: x())
    #expect(result.featureValue(for: "classLabel")?.int64Value == 40)
    let shares = try #require(result.featureValue(for: "classLabel_probs")?.dictionaryValue)
    #expect(shares[70 as Int64] == 0.25 && shares[40] == 0.5 && shares[90] == 0.25 && shares.count == 3)
  }

  @Test(arguments: [([1, 2, 1], "dog"), ([5, 2, 1], "cat"), ([0, 0, 4], "owl")] as [([Float], String)])
  func theLargestProbabilityIsTheLabel(_ values: [Float], _ label: String) throws {
    let result = try Compiled("texts").model().prediction(from: x(values))
    #expect(result.featureNames == ["classLabel", "classLabel_probs"])
    let value = try #require(result.featureValue(for: "classLabel"))
    #expect(value.type == .string && value.stringValue == label && value.multiArrayValue == nil)
    let shares = try #require(result.featureValue(for: "classLabel_probs"))
    #expect(shares.type == .dictionary)
    let sum = values.reduce(0, +)
    for (name, part) in zip(["cat", "dog", "owl"], values) {
      #expect(shares.dictionaryValue[name]?.floatValue == part / sum)
    }
  }

  @Test func modelsWithoutClassesHaveNoLabels() throws {
    let description = try Compiled("linear").model().modelDescription
    #expect(description.classLabels == nil && description.predictedFeatureName == nil)
    #expect(description.predictedProbabilitiesName == nil)
    #expect(description.outputDescriptionsByName["y"]?.dictionaryConstraint == nil)
  }

  @Test func descriptionsKnowTheirValues() throws {
    let outputs = try Compiled("texts").model().modelDescription.outputDescriptionsByName
    let (label, shares) = (try #require(outputs["classLabel"]), try #require(outputs["classLabel_probs"]))
    #expect(label.isAllowedValue(MLFeatureValue(string: "cat")) && !label.isAllowedValue(MLFeatureValue(int64: 1)))
    #expect(shares.isAllowedValue(try MLFeatureValue(dictionary: ["cat": 1])))
    #expect(!shares.isAllowedValue(try MLFeatureValue(dictionary: [1: 1])))
    #expect(!shares.isAllowedValue(MLFeatureValue(string: "cat")))
  }

  @Test func batchesAreClassified() throws {
    let batch = MLArrayBatchProvider(array: [try x([3, 0, 0]), try x([0, 3, 0]), try x([0, 0, 3])])
    let results = try Compiled("texts").model().predictions(fromBatch: batch)
    let labels = (0..<results.count).map { results.features(at: $0).featureValue(for: "classLabel")?.stringValue }
    #expect(labels == ["cat", "dog", "owl"])
  }

  /// A dictionary is no tensor; predictions on tensors ask for arrays alone.
  @Test func tensorsCannotCarryLabels() async throws {
    let model = try Compiled("texts").model()
    let error = await #expect(throws: MLModelError.self) {
      _ = try await model.prediction(from: ["x": MLTensor(shape: [1, 3], scalars: [1, 2, 1])])
    }
    #expect(error?.code == .featureType)
    #expect(error?.errorDescription?.contains("classLabel") == true)
  }
}
