import CoreML
import TestSupport
import Testing

/// A compiled fixture that is removed with the object.
final class Compiled {
  let url: URL

  init(_ name: String) throws { url = try MLModel.compileModel(at: Fixture.package(name)) }
  deinit { try? FileManager.default.removeItem(at: url) }

  func model(_ change: (MLModelConfiguration) -> Void = { _ in }) throws -> MLModel {
    let configuration = MLModelConfiguration()
    change(configuration)
    return try MLModel(contentsOf: url, configuration: configuration)
  }
}

@Suite struct MLModelTests {
  @Test func compilesToAFolderOfItsOwn() throws {
    let compiled = try Compiled("linear")
    #expect(compiled.url.lastPathComponent.hasPrefix("linear_"))
    #expect(compiled.url.pathExtension == "mlmodelc")
    #expect(compiled.url.path.hasPrefix(FileManager.default.temporaryDirectory.path))
    #expect(try Compiled("linear").url != compiled.url)
  }

  @Test func aCompiledModelNeedsNoSource() throws {
    let folder = try TemporaryFolder()
    let source = folder.url.appendingPathComponent("copy.mlpackage")
    try FileManager.default.copyItem(at: Fixture.package("linear"), to: source)
    let compiled = try MLModel.compileModel(at: source)
    defer { try? FileManager.default.removeItem(at: compiled) }
    try FileManager.default.removeItem(at: source)
    _ = try MLModel(contentsOf: compiled)
  }

  @Test func describesItsFeatures() throws {
    let description = try Compiled("half").model().modelDescription
    let input = try #require(description.inputDescriptionsByName["x"])
    #expect(input.type == .multiArray && !input.isOptional)
    #expect(input.multiArrayConstraint?.shape == [2, 4])
    #expect(input.multiArrayConstraint?.dataType == .float16)
    #expect(input.multiArrayConstraint?.shapeConstraint.enumeratedShapes == [[2, 4]])
    #expect(Array(description.outputDescriptionsByName.keys) == ["y"])
    #expect(input.isAllowedValue(MLFeatureValue(multiArray: try MLMultiArray(shape: [2, 4], dataType: .float16))))
    #expect(!input.isAllowedValue(MLFeatureValue(multiArray: try MLMultiArray(shape: [4, 2], dataType: .float16))))
    #expect(!input.isAllowedValue(MLFeatureValue(string: "x")))
    #expect(!input.isAllowedValue(MLFeatureValue(undefined: .multiArray)))
  }

  @Test func carriesItsMetadata() throws {
    let metadata = try Compiled("linear").model().modelDescription.metadata
    #expect(metadata[.author] as? String == "Tintype")
    #expect(metadata[.description] as? String == "Fixture of the Swift tests")
    let own = try #require(metadata[.creatorDefinedKey] as? [String: String])
    #expect(own["com.github.apple.coremltools.source"] == "milinternal")
  }

  @Test func keepsTheConfigurationItWasMadeWith() throws {
    let configuration = MLModelConfiguration()
    configuration.computeUnits = .cpuOnly
    let compiled = try Compiled("linear")
    let model = try MLModel(contentsOf: compiled.url, configuration: configuration)
    configuration.computeUnits = .all
    #expect(model.configuration.computeUnits == .cpuOnly)
  }

  @Test func saysThatItIsNotApples() throws {
    #expect(try Compiled("linear").model().description.contains("portable Core ML: MLX engine, CPU only"))
  }

  @Test func asynchronousCallsWork() async throws {
    let compiled = try await MLModel.compileModel(at: Fixture.package("linear"))
    let model = try await MLModel.load(contentsOf: compiled, configuration: MLModelConfiguration())
    #expect(model.modelDescription.outputDescriptionsByName.count == 1)
    try FileManager.default.removeItem(at: compiled)
  }

  @Test func theCompletionHandlerGetsTheResult() async throws {
    let failure = await withCheckedContinuation { continuation in
      MLModel.compileModel(at: Fixture.package("absent")) { continuation.resume(returning: $0) }
    }
    #expect(throws: MLModelError.self) { try failure.get() }
  }

  @Test(arguments: [
    ("absent", MLModelError.Code.io, "absent.mlpackage"), ("truncated", .generic, "weight.bin"),
    ("damaged", .generic, "model.mlmodel"),
  ])
  func whatCannotRunDoesNotCompile(_ name: String, _ code: MLModelError.Code, _ text: String) throws {
    let error = try #require(throws: MLModelError.self) { try MLModel.compileModel(at: Fixture.package(name)) }
    #expect(error.code == code)
    #expect(error.errorDescription?.contains(text) == true)
  }

  @Test func packagesMustBeCompiledFirst() throws {
    let package = Fixture.package("linear")
    let error = try #require(throws: MLModelError.self) { try MLModel(contentsOf: package) }
    #expect(error.code == .io)
    #expect(
      error.errorDescription
        == "Unable to load model: \(package.path). Compile the model with `MLModel.compileModel(at:)`.")
  }

  @Test func unknownFunctionsAreNamed() throws {
    let compiled = try Compiled("two_functions")
    let error = try #require(throws: MLModelError.self) { try compiled.model { $0.functionName = "fourfold" } }
    #expect(
      error.errorDescription
        == "function 'fourfold' does not exist in \(compiled.url.lastPathComponent); it has 'twice', 'thrice'")
  }
}
