import CoreML
import TestSupport
import Testing

/// A decoder with a cache in an `MLState`, as language models have them.
@available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
private final class Decoder {
  private let model: MLModel
  private var state: MLState
  private var position: Int32 = 0

  init(model: MLModel) {
    self.model = model
    state = model.makeState()
  }

  func reset() {
    state = model.makeState()
    position = 0
  }

  /// The sum of the rows in the cache after this one.
  func step(_ row: [Float16]) async throws -> [Float16] {
    let x = MLShapedArray<Float16>(scalars: row, shape: [1, 2])
    let place = MLShapedArray<Int32>(scalars: [position], shape: [1])
    let input = try MLDictionaryFeatureProvider(dictionary: [
      "x": MLFeatureValue(shapedArray: x), "position": MLFeatureValue(shapedArray: place),
    ])
    let output = try await model.prediction(from: input, using: state)
    position += 1
    return output.featureValue(for: "y")?.shapedArrayValue(of: Float16.self)?.scalars ?? []
  }

  /// Forgets what lies behind the first rows, as speculative decoding does.
  func truncate(to count: Int) {
    state.withMultiArray(for: "cache") { cache in
      cache.withUnsafeMutableBufferPointer(ofType: Float16.self) { pointer, strides in
        for row in count..<cache.shape[0].intValue {
          for column in 0..<2 { pointer[row * strides[0] + column * strides[1]] = 0 }
        }
      }
    }
    position = Int32(count)
  }
}

@Suite struct DecoderTests {
  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  @Test func cachesGrowAndAreCut() async throws {
    let url = try await MLModel.compileModel(at: Fixture.package("decoder"))
    defer { try? FileManager.default.removeItem(at: url) }
    let model = try await MLModel.load(contentsOf: url)
    #expect(model.modelDescription.stateDescriptionsByName["cache"]?.stateConstraint?.bufferShape == [4, 2])
    let decoder = Decoder(model: model)
    #expect(try await decoder.step([1, 10]) == [1, 10])
    #expect(try await decoder.step([2, 20]) == [3, 30])
    decoder.truncate(to: 1)
    #expect(try await decoder.step([5, 50]) == [6, 60])
    decoder.reset()
    #expect(try await decoder.step([7, 0]) == [7, 0])
  }

  /// Steps on tensors, and the next token from their logits.
  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  @Test func tensorsDecode() async throws {
    let url = try await MLModel.compileModel(at: Fixture.package("decoder"))
    defer { try? FileManager.default.removeItem(at: url) }
    let model = try await MLModel.load(contentsOf: url)
    let state = model.makeState()
    var outputs: [String: MLTensor] = [:]
    for position in Int32(0)..<2 {
      outputs = try await model.prediction(
        from: [
          "x": MLTensor(shape: [1, 2], scalars: [1, 3] as [Float16], scalarType: Float16.self),
          "position": MLTensor([position]),
        ], using: state)
    }
    let logits = try #require(outputs["y"]).cast(to: Float.self)
    let token = await logits[-1].argmax(alongAxis: -1).shapedArray(of: Int32.self).scalar
    let shares = await logits.softmax().shapedArray(of: Float.self).scalars
    #expect(token == 1 && abs(shares[1] - 0.98201376) < 1e-3)
  }

  /// Sampling as language models' apps write it: the most likely tokens of the last position, within a share of all.
  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  @Test func samplesATokenAsAppsDo() async {
    let logits = MLTensor(shape: [1, 2, 4], scalars: [0, 0, 0, 0, 1, 5, 3, 2] as [Float], scalarType: Float.self)
    let last = logits[nil, -1, nil].expandingShape(at: 0)
    let (values, indices) = last.topK(3)
    let shares = (values / 0.7).softmax(alongAxis: -1)
    let kept = (shares.cumulativeSum(alongAxis: -1) - shares) .< 0.9
    let masked = shares.replacing(with: Float(0), where: .!kept)
    let choice = indices.gathering(atIndices: masked.argmax(alongAxis: -1).flattened(), alongAxis: indices.rank - 1)
    #expect(await choice.flattened().shapedArray(of: Int32.self).scalars == [1])
  }
}
