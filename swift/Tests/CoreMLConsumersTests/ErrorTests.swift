import CoreML
import Testing

/// What apps look for in a prediction's error: its code.
@Suite struct ErrorTests {
  private func code(_ features: [String: Any], model: MLModel) -> MLModelError.Code? {
    do {
      _ = try model.prediction(from: MLDictionaryFeatureProvider(dictionary: features))
      return nil
    } catch {
      return (error as? MLModelError)?.code
    }
  }

  @Test func wrongFeaturesHaveTheirCode() async throws {
    let compiled = try await Compiled("multi_output")
    defer { withExtendedLifetime(compiled) {} }
    let model = try compiled.model()
    #expect(code([:], model: model) == .featureType)
    #expect(code(["x": try MLMultiArray(shape: [3, 2], dataType: .float32)], model: model) == .featureType)
    #expect(code(["x": "text"], model: model) == .featureType)
    let fitting = MLMultiArray(MLShapedArray<Float>(repeating: 1, shape: [2, 3]))
    #expect(code(["x": fitting], model: model) == nil)
  }
}
