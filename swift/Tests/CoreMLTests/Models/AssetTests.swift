import CoreML
import TestSupport
import Testing

@Suite struct AssetTests {
  private func bytes(_ package: String, _ path: String) throws -> Data {
    try Data(contentsOf: Fixture.package(package).appendingPathComponent("Data/com.apple.CoreML/\(path)"))
  }

  private func x() throws -> any MLFeatureProvider {
    try MLDictionaryFeatureProvider(dictionary: [
      "x": MLMultiArray(MLShapedArray<Float>(scalars: [1, 0, 0, 0, 1, 0], shape: [2, 3]))
    ])
  }

  @Test func specificationsAreAssets() async throws {
    let asset = try MLModelAsset(specification: bytes("multi_output", "model.mlmodel"))
    #expect(try await asset.functionNames == [])
    let description = try await asset.modelDescription
    #expect(Set(description.outputDescriptionsByName.keys) == ["negated", "squared", "total"])
    let model = try await MLModel.load(asset: asset, configuration: MLModelConfiguration())
    #expect(try await model.prediction(from: x()).featureValue(for: "total")?.multiArrayValue?[0] == 1)
  }

  @Test func weightsComeFromMemory() async throws {
    let specification = try bytes("linear", "model.mlmodel")
    let weights = try bytes("linear", "weights/weight.bin")
    var model: MLModel?
    do {
      let asset = try MLModelAsset(
        specification: specification, blobMapping: [URL(fileURLWithPath: "weights/weight.bin"): weights])
      model = try await MLModel.load(asset: asset)
    }
    // W[i][j] = (3i + j) / 10, b[i] = i; the asset and its files are gone.
    let y = try #require(try await model?.prediction(from: x()).featureValue(for: "y")?.multiArrayValue)
    #expect(abs(y[1].floatValue - 1.3) < 1e-6)
  }

  @Test func damagedSpecificationsThrow() throws {
    #expect(throws: MLModelError.self) { try MLModelAsset(specification: Data([1, 2, 3])) }
    let error = try #require(throws: MLModelError.self) {
      try MLModelAsset(specification: Data(), blobMapping: [URL(fileURLWithPath: "/etc/../x"): Data()])
    }
    #expect(error.errorDescription?.contains("outside of the model") == true)
  }

  @Test func handlersGetTheAnswers() async throws {
    let compiled = try Compiled("two_functions")
    let asset = try MLModelAsset(url: compiled.url)
    let names = await withCheckedContinuation { continuation in
      asset.functionNames { names, _ in continuation.resume(returning: names) }
    }
    #expect(names == ["twice", "thrice"])
    let isUnknown = await withCheckedContinuation { continuation in
      asset.modelDescription(ofFunctionNamed: "absent") { description, error in
        continuation.resume(returning: description == nil && error is MLModelError)
      }
    }
    #expect(isUnknown)
  }

  @Test func configurationsAreCopied() throws {
    let configuration = MLModelConfiguration()
    configuration.functionName = "twice"
    configuration.optimizationHints.reshapeFrequency = .infrequent
    let copy = try #require(configuration.copy() as? MLModelConfiguration)
    configuration.functionName = "thrice"
    #expect(copy.functionName == "twice" && copy.optimizationHints == configuration.optimizationHints)
    #expect(MLComputeDevice.allComputeDevices == MLModel.availableComputeDevices)
  }
}
