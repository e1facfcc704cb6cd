import CoreML
import Testing

// Code as apps write it against Core ML, with nothing in it that knows of this package.

/// A model class as Xcode generates one.
private final class Classifier {
  let model: MLModel

  final class Input: MLFeatureProvider {
    var x: MLMultiArray
    var featureNames: Set<String> { ["x"] }
    init(x: MLMultiArray) { self.x = x }
    func featureValue(for featureName: String) -> MLFeatureValue? {
      featureName == "x" ? MLFeatureValue(multiArray: x) : nil
    }
  }

  final class Output: MLFeatureProvider {
    private let provider: any MLFeatureProvider
    init(features: any MLFeatureProvider) { provider = features }
    var featureNames: Set<String> { provider.featureNames }
    func featureValue(for featureName: String) -> MLFeatureValue? { provider.featureValue(for: featureName) }
    var total: MLMultiArray? { featureValue(for: "total")?.multiArrayValue }
    var squaredShapedArray: MLShapedArray<Float>? { featureValue(for: "squared")?.shapedArrayValue(of: Float.self) }
  }

  init(contentsOf url: URL, configuration: MLModelConfiguration) throws {
    model = try MLModel(contentsOf: url, configuration: configuration)
  }

  func prediction(input: Input, options: MLPredictionOptions = MLPredictionOptions()) throws -> Output {
    Output(features: try model.prediction(from: input, options: options))
  }

  func predictions(inputs: [Input], options: MLPredictionOptions = MLPredictionOptions()) throws -> [Output] {
    let batch = MLArrayBatchProvider(array: inputs)
    let results = try model.predictions(from: batch, options: options)
    return (0..<results.count).map { Output(features: results.features(at: $0)) }
  }
}

/// A managed model as diffusion pipelines have them.
@available(macOS 14, iOS 17, tvOS 17, visionOS 1, *)
private actor ManagedModel {
  private let url: URL
  private var loaded: MLModel?

  init(_ url: URL) { self.url = url }

  func load() async throws {
    guard loaded == nil else { return }
    let configuration = MLModelConfiguration()
    configuration.computeUnits = .cpuAndNeuralEngine
    loaded = try await MLModel.load(contentsOf: url, configuration: configuration)
  }

  func unload() { loaded = nil }

  func scaled(_ latents: [Float]) async throws -> [Float] {
    try await load()
    guard let model = loaded else { return [] }
    let name = model.modelDescription.inputDescriptionsByName.first?.key ?? ""
    let input = MLMultiArray(MLShapedArray<Float32>(scalars: latents, shape: [2, 3]))
    let output = try await model.prediction(from: MLDictionaryFeatureProvider(dictionary: [name: input]))
    guard let result = output.featureValue(for: "y")?.multiArrayValue else { return [] }
    return MLShapedArray<Float32>(converting: result).scalars
  }
}

@Suite struct ManagedModelTests {
  @Test func generatedModelClasses() async throws {
    let compiled = try await Compiled("multi_output")
    defer { withExtendedLifetime(compiled) {} }
    let configuration = MLModelConfiguration()
    configuration.computeUnits = .all
    let classifier = try Classifier(contentsOf: compiled.url, configuration: configuration)
    let x = try MLMultiArray(shape: [2, 3], dataType: .float32)
    for index in 0..<x.count { x[index] = NSNumber(value: Float(index)) }
    let output = try classifier.prediction(input: .init(x: x))
    #expect(output.total?[0] == 3)
    #expect(output.squaredShapedArray?[1].scalars == [9, 16, 25])
    #expect(try classifier.predictions(inputs: [.init(x: x), .init(x: x)]).count == 2)
  }

  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  @Test func managedModels() async throws {
    let compiled = try await Compiled("two_functions")
    defer { withExtendedLifetime(compiled) {} }
    let model = ManagedModel(compiled.url)
    #expect(try await model.scaled([1, 2, 3, 4, 5, 6]) == [2, 4, 6, 8, 10, 12])
    await model.unload()
    #expect(try await model.scaled([0, 0, 0, 0, 0, 1]).last == 2)
  }

  /// As speech recognisers fill their inputs: by pointer, through strides.
  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  @Test func pointersAndStrides() throws {
    let audio = try MLMultiArray(shape: [1, 4], dataType: .float16)
    let pointer = UnsafeMutablePointer<Float16>(OpaquePointer(audio.dataPointer))
    let offsets = (0..<4).map { $0 * audio.strides[1].intValue }
    for (index, offset) in offsets.enumerated() { pointer[offset] = Float16(index) }
    #expect(audio[[0, 3]].floatValue == 3)
    try UnsafeMutableBufferPointer<Float16>(audio).update(repeating: 2)
    #expect(try UnsafeBufferPointer<Float16>(audio).reduce(0, +) == 8)
    #expect(throws: (any Error).self) { try UnsafeBufferPointer<Float>(audio) }
    let copy = try MLMultiArray(shape: [1, 4], dataType: .float32)
    audio.transfer(to: copy)
    #expect(MLShapedArray<Float>(copy).scalars == [2, 2, 2, 2])
    let joined = MLMultiArray(concatenating: [audio, audio], axis: 0, dataType: .float16)
    #expect(joined.shape == [2, 4] && joined[[1, 3]] == 2)
  }

  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  @Test func decodersReadTheirShapesFromTheModel() async throws {
    let compiled = try await Compiled("half")
    defer { withExtendedLifetime(compiled) {} }
    let model = try compiled.model()
    guard let constraint = model.modelDescription.inputDescriptionsByName["x"]?.multiArrayConstraint else {
      Issue.record("the input has no constraint")
      return
    }
    let input = try MLMultiArray(shape: constraint.shape, dataType: constraint.dataType)
    input.withUnsafeMutableBytes { pointer, _ in _ = pointer.initializeMemory(as: UInt8.self, repeating: 0) }
    let output = try await model.prediction(from: MLDictionaryFeatureProvider(dictionary: ["x": input]))
    #expect(output.featureValue(for: "y")?.shapedArrayValue(of: Float16.self)?.scalars == Array(repeating: 1, count: 8))
  }
}
