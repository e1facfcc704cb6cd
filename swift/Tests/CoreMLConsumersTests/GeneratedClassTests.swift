// Names are those that Xcode makes of the outputs.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import CoreML
import Testing

// A class in the shape of those that Xcode generates for a classifier of pictures.

private class ColorsInput: MLFeatureProvider {
  var x: CVPixelBuffer

  var featureNames: Set<String> { ["x"] }

  func featureValue(for featureName: String) -> MLFeatureValue? {
    featureName == "x" ? MLFeatureValue(pixelBuffer: x) : nil
  }

  init(x: CVPixelBuffer) { self.x = x }
}

private class ColorsOutput: MLFeatureProvider {
  private let provider: MLFeatureProvider

  var color: String { provider.featureValue(for: "color")?.stringValue ?? "" }
  var color_probs: [String: Double] {
    provider.featureValue(for: "color_probs")?.dictionaryValue as? [String: Double] ?? [:]
  }

  var featureNames: Set<String> { provider.featureNames }

  func featureValue(for featureName: String) -> MLFeatureValue? { provider.featureValue(for: featureName) }

  init(color: String, color_probs: [String: Double]) throws {
    provider = try MLDictionaryFeatureProvider(dictionary: [
      "color": MLFeatureValue(string: color),
      "color_probs": MLFeatureValue(dictionary: color_probs as [AnyHashable: NSNumber]),
    ])
  }

  init(features: MLFeatureProvider) { provider = features }
}

private class Colors {
  let model: MLModel

  init(model: MLModel) { self.model = model }

  convenience init(contentsOf modelURL: URL, configuration: MLModelConfiguration = MLModelConfiguration()) throws {
    try self.init(model: MLModel(contentsOf: modelURL, configuration: configuration))
  }

  class func load(
    contentsOf modelURL: URL, configuration: MLModelConfiguration = MLModelConfiguration(),
    completionHandler handler: @escaping (Swift.Result<Colors, Error>) -> Void
  ) {
    MLModel.load(contentsOf: modelURL, configuration: configuration) { result in
      switch result {
      case .failure(let error): handler(.failure(error))
      case .success(let model): handler(.success(Colors(model: model)))
      }
    }
  }

  class func load(
    contentsOf modelURL: URL, configuration: MLModelConfiguration = MLModelConfiguration()
  ) async throws -> Colors {
    Colors(model: try await MLModel.load(contentsOf: modelURL, configuration: configuration))
  }

  func prediction(input: ColorsInput) throws -> ColorsOutput {
    try prediction(input: input, options: MLPredictionOptions())
  }

  func prediction(input: ColorsInput, options: MLPredictionOptions) throws -> ColorsOutput {
    ColorsOutput(features: try model.prediction(from: input, options: options))
  }

  @available(macOS 14, iOS 17, tvOS 17, visionOS 1, *)
  func prediction(
    input: ColorsInput, options: MLPredictionOptions = MLPredictionOptions()
  ) async throws -> ColorsOutput {
    ColorsOutput(features: try await model.prediction(from: input, options: options))
  }

  func predictions(
    inputs: [ColorsInput], options: MLPredictionOptions = MLPredictionOptions()
  ) throws -> [ColorsOutput] {
    let batch = try model.predictions(from: MLArrayBatchProvider(array: inputs), options: options)
    return (0..<batch.count).map { ColorsOutput(features: batch.features(at: $0)) }
  }
}

@Suite struct GeneratedClassTests {
  /// One colour everywhere, as blue, green, red, alpha.
  private func picture(_ pixel: [UInt8]) throws -> CVPixelBuffer {
    var buffer: CVPixelBuffer?
    let attributes = [kCVPixelBufferIOSurfacePropertiesKey: [:] as [String: Any]] as CFDictionary
    CVPixelBufferCreate(kCFAllocatorDefault, 6, 4, kCVPixelFormatType_32BGRA, attributes, &buffer)
    let picture = try #require(buffer)
    CVPixelBufferLockBaseAddress(picture, [])
    defer { CVPixelBufferUnlockBaseAddress(picture, []) }
    let base = try #require(CVPixelBufferGetBaseAddress(picture))
    for row in 0..<4 {
      for byte in 0..<24 {
        let place = row * CVPixelBufferGetBytesPerRow(picture) + byte
        base.storeBytes(of: pixel[byte % 4], toByteOffset: place, as: UInt8.self)
      }
    }
    return picture
  }

  @available(macOS 14, iOS 17, tvOS 17, visionOS 1, *)
  @Test func picturesAreClassified() async throws {
    let compiled = try await Compiled("colors")
    defer { withExtendedLifetime(compiled) {} }
    let colors = try await Colors.load(contentsOf: compiled.url)
    let output = try await colors.prediction(input: ColorsInput(x: picture([30, 0, 90, 255])))
    #expect(output.color == "red")
    for (name, share) in ["red": 0.75, "green": 0, "blue": 0.25] {
      #expect(abs((output.color_probs[name] ?? .nan) - share) < 1e-3)
    }
    #expect(output.featureNames == ["color", "color_probs"])
    let batch = try colors.predictions(inputs: [
      ColorsInput(x: picture([9, 0, 0, 0])), ColorsInput(x: picture([0, 9, 0, 0])),
    ])
    #expect(batch.map(\.color) == ["blue", "green"])
  }

  @Test func handlersGetTheModel() async throws {
    let compiled = try await Compiled("colors")
    defer { withExtendedLifetime(compiled) {} }
    let label: String = try await withCheckedThrowingContinuation { continuation in
      Colors.load(contentsOf: compiled.url) { result in
        continuation.resume(
          with: Result { try result.get().prediction(input: ColorsInput(x: self.picture([0, 200, 0, 255]))).color })
      }
    }
    #expect(label == "green")
  }

  @Test func outputsAreMadeByHand() throws {
    let output = try ColorsOutput(color: "red", color_probs: ["red": 1])
    #expect(output.color == "red" && output.color_probs == ["red": 1])
  }
}
