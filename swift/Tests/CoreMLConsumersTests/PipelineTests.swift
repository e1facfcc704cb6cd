import CoreML
import Testing

/// A denoiser as diffusion pipelines call it: several latents as one batch, results by the output's only name.
private struct Denoiser {
  let model: MLModel

  func predict(_ latents: [MLShapedArray<Float32>], time: Double) throws -> [MLShapedArray<Float32>] {
    let inputs = try latents.map { latent in
      try MLDictionaryFeatureProvider(dictionary: ["x": MLMultiArray(latent), "timestep": time])
    }
    let results = try model.predictions(fromBatch: MLArrayBatchProvider(array: inputs))
    return (0..<results.count).compactMap { index in
      let result = results.features(at: index)
      guard let name = result.featureNames.first else { return nil }
      return result.featureValue(for: name)?.multiArrayValue.map(MLShapedArray<Float32>.init(converting:))
    }
  }
}

/// Predictions of several tasks on one model, as apps queue them.
@available(macOS 14, iOS 17, tvOS 17, visionOS 1, *)
private actor Predictor {
  private let model: MLModel

  init(model: MLModel) { self.model = model }

  func totals(_ values: [Float]) async throws -> [Float] {
    var totals: [Float] = []
    for value in values {
      let x = try MLMultiArray(shape: [2, 3], dataType: .float32)
      x.withUnsafeMutableBufferPointer(ofType: Float.self) { pointer, _ in pointer.update(repeating: value) }
      let output = try await model.prediction(from: MLDictionaryFeatureProvider(dictionary: ["x": x]))
      totals.append(output.featureValue(for: "total")?.multiArrayValue?[0].floatValue ?? .nan)
    }
    return totals
  }
}

@Suite struct PipelineTests {
  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  @Test func guidanceAndSteps() async throws {
    let compiled = try await Compiled("two_functions")
    defer { withExtendedLifetime(compiled) {} }
    let denoiser = Denoiser(model: try compiled.model())
    let latent = MLShapedArray<Float32>(scalars: [1, 2, 3, 4, 5, 6], shape: [2, 3])
    let zero = MLShapedArray<Float32>(repeating: 0, shape: latent.shape)
    let noise = try denoiser.predict([zero, latent], time: 999)
    let joined = MLShapedArray<Float32>(concatenating: [noise[0], noise[1]], alongAxis: 0)
    #expect(joined.shape == [4, 3])
    let guided = MLShapedArray<Float32>(unsafeUninitializedShape: latent.shape) { target, _ in
      noise[0].withUnsafeShapedBufferPointer { negative, _, _ in
        noise[1].withUnsafeShapedBufferPointer { positive, _, _ in
          for index in target.indices {
            target.initializeElement(at: index, to: negative[index] + 2 * (positive[index] - negative[index]))
          }
        }
      }
    }
    #expect(guided.scalars == [4, 8, 12, 16, 20, 24])
    #expect(MLShapedArray<Float16>(converting: guided).scalars.last == 24)
  }

  @available(macOS 14, iOS 17, tvOS 17, visionOS 1, *)
  @Test func queuedPredictions() async throws {
    let compiled = try await Compiled("multi_output")
    defer { withExtendedLifetime(compiled) {} }
    #expect(try await Predictor(model: compiled.model()).totals([1, 2, 5]) == [3, 6, 15])
  }
}
