import CoreML
import TestSupport
import Testing

/// Apps that ask an asset for its functions before they load one of them.
@Suite struct AssetTests {
  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  @Test func assetsTellTheirFunctions() async throws {
    let compiled = try await Compiled("two_functions")
    defer { withExtendedLifetime(compiled) {} }
    let asset = try MLModelAsset(url: compiled.url)
    #expect(try await asset.functionNames.sorted() == ["thrice", "twice"])
    #expect(try await asset.modelDescription.inputDescriptionsByName.keys.sorted() == ["x"])
    #expect(try await asset.modelDescription(of: "thrice").outputDescriptionsByName.keys.sorted() == ["y"])
    let configuration = MLModelConfiguration()
    configuration.functionName = "thrice"
    let model = try await MLModel.load(asset: asset, configuration: configuration)
    let x = MLMultiArray(MLShapedArray<Float>(repeating: 1, shape: [2, 3]))
    let output = try await model.prediction(from: MLDictionaryFeatureProvider(dictionary: ["x": x]))
    #expect(output.featureValue(for: "y")?.multiArrayValue?[0] == 3)
  }

  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  @Test func handlersAreToldToo() async throws {
    let compiled = try await Compiled("two_functions")
    defer { withExtendedLifetime(compiled) {} }
    let asset = try MLModelAsset(url: compiled.url)
    let names: [String]? = await withCheckedContinuation { continuation in
      asset.functionNames { names, _ in continuation.resume(returning: names) }
    }
    #expect(names?.count == 2)
    let count: Int? = await withCheckedContinuation { continuation in
      asset.modelDescription(ofFunctionNamed: "twice") { description, _ in
        continuation.resume(returning: description?.inputDescriptionsByName.count)
      }
    }
    #expect(count == 1)
  }
}
