import Foundation
import TestSupport
import Testing

@testable import Tintype

@Suite struct PreviewTests {
  private static let small = #"{"channels": 4, "height": 40, "width": 36, "downscale": 4, "scale": 1, "shift": 0}"#

  private func latent(_ json: String = small) throws -> BundleDescriptor.Latent {
    try JSONDecoder().decode(BundleDescriptor.Latent.self, from: Data(json.utf8))
  }

  /// The sums that tests/python/pipeline/test_preview.py holds Python's pictures to.
  @Test func probesAreTheSameAsPythons() throws {
    let latent = try latent()
    #expect(PreviewProbes.count(latent) == 2)
    for (number, sums) in [[-618, -8218, -168], [2410, 11140, -7960]].enumerated() {
      let picture = try PreviewProbes.picture(number, latent)
      #expect(picture.shape == [1, 3, 160, 144])
      let values = picture.floats()
      #expect(Set(values) == [-1, 1])
      #expect((0..<3).map { Int(values[$0 * 160 * 144..<($0 + 1) * 160 * 144].reduce(0, +)) } == sums)
    }
  }

  @Test func aLinearDecoderIsFoundAgain() throws {
    let latent = try latent()
    let factors: [[Float]] = [
      [0.04, 0.02, -0.03, 0.01, 0.1], [0, 0.05, 0.02, -0.04, 0], [0.06, 0, 0, 0.03, -0.2],
    ]
    var fit = ProjectionFit(latent)
    for probe in try PreviewProbes.latents(latent) {
      let values = probe.floats()
      var pixels: [Float] = []
      for row in factors {
        for pixel in 0..<160 * 144 {
          let place = pixel / 144 / 4 * 36 + pixel % 144 / 4
          pixels.append((0..<4).reduce(row[4]) { sum, channel in sum + row[channel] * values[channel * 1440 + place] })
        }
      }
      fit.add(latents: probe, decoded: try Tensor(shape: [1, 3, 160, 144], floats: pixels))
    }
    let found = fit.solved()
    #expect(found.weight.count == 12 * 4 * 9 && found.bias.count == 12)
    for output in 0..<12 {
      #expect(abs(found.bias[output] - factors[output / 4][4]) < 0.01)
      // The pixel's own value has the factor, its neighbours have next to none.
      for channel in 0..<4 {
        let patch = found.weight[(output * 4 + channel) * 9..<(output * 4 + channel + 1) * 9]
        #expect(abs(patch.reduce(0, +) - factors[output / 4][channel]) < 0.01)
        #expect(abs(patch[patch.startIndex + 4] - factors[output / 4][channel]) < 0.02)
      }
    }
    #expect(found.image(try Tensor.zeros(shape: [1, 3, 2, 2], elementType: .float32)) == nil)
  }

  /// By a map that is written down: pixel (row, column) of a square is channel 2·row + column of a neighbour.
  @Test func pixelsAndNeighboursKeepTheirPlaces() throws {
    var weight = [Float](repeating: 0, count: 12 * 4 * 9)
    for output in 0..<12 { weight[(output * 4 + output % 4) * 9 + 2] = 1 }  // up and right
    let projection = LatentProjection(
      kernel: 3, pixels: 2, channels: 4, weight: weight, bias: [Float](repeating: 0, count: 12))
    let values: [Float] = (0..<120).map { Float($0 * 37 % 101) / 50 - 1 }
    let image = try #require(projection.image(Tensor(shape: [1, 4, 5, 6], floats: values)))
    #expect(image.width == 12 && image.height == 10)
    for y in 0..<10 {
      for x in 0..<12 {
        let channel = 2 * (y % 2) + x % 2
        let row = channel * 5 + max(y / 2 - 1, 0)
        let value = values[row * 6 + min(x / 2 + 1, 5)]
        let level: Float = (value / 2 + 0.5) * 255
        let expected = [UInt8](repeating: UInt8(level.rounded(.toNearestOrEven)), count: 3)
        let place = 3 * (y * 12 + x)
        #expect(Array(image.bytes[place..<place + 3]) == expected)
      }
    }
  }

  private func previews(
    _ pipeline: TextToImagePipeline, _ request: GenerationRequest
  ) async throws -> (previews: [Int: RGBImage], result: GenerationResult) {
    var previews: [Int: RGBImage] = [:]
    var finished: GenerationResult?
    for try await event in try pipeline.events(request) {
      if case .step(let step) = event { previews[step.number] = step.preview }
      if case .done(let result) = event { finished = result }
    }
    return (previews, try #require(finished))
  }

  /// The last preview of the embedded model against its picture.
  @Test func previewsResembleThePicture() async throws {
    let pipeline = try TestBundles.pipeline("demo")
    let request = GenerationRequest(
      "a red circle above a blue square on a white background", steps: 12, guidanceScale: 4, seed: 7,
      previewInterval: 4, backend: .all(.mlx))
    let (previews, result) = try await previews(pipeline, request)
    #expect(previews.keys.sorted() == [4, 8, 12])
    let last = try #require(previews[12])
    #expect(last.width * 4 == result.image.width && last.height * 4 == result.image.height)
    var square = 0.0
    for (index, byte) in result.image.bytes.enumerated() {
      let (row, column) = (index / 3 / result.image.width, index / 3 % result.image.width)
      let difference = Double(byte) - Double(last.bytes[3 * (row / 4 * last.width + column / 4) + index % 3])
      square += difference * difference
    }
    let psnr = 20 * log10(255 / (square / Double(result.image.bytes.count)).squareRoot())
    #expect(psnr > 20, "\(psnr) dB")
  }

  @Test func theBundlesMapIsUsed() async throws {
    let folder = try TemporaryFolder()
    let bundle = folder.url.appendingPathComponent("bundle")
    try FileManager.default.copyItem(at: try TestBundles.url("sd3-medium-tiny-float16"), to: bundle)
    let file = bundle.appendingPathComponent("bundle.json")
    var description = try JSONDecoder().decode([String: JSONValue].self, from: Data(contentsOf: file))
    description["preview"] = .object(["path": .string("preview.safetensors")])
    try JSONEncoder().encode(description).write(to: file)
    #expect(throws: BundleError.self) { try ModelBundle(at: bundle) }

    // A kernel of one pixel whose constant is all that counts: red is 1, green 0, blue −1.
    let header =
      #"{"bias":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},"#
      + #""weight":{"dtype":"F32","shape":[3,16,1,1],"data_offsets":[12,204]}}"#
    let map = bundle.appendingPathComponent("preview.safetensors")
    func write(_ header: String) throws {
      var bytes = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) } + Data(header.utf8)
      bytes += [Float(1), 0, -1].reduce(into: Data()) { data, value in withUnsafeBytes(of: value) { data += Data($0) } }
      try (bytes + Data(count: 192)).write(to: map)
    }
    try write(header)
    let request = GenerationRequest("a", steps: 1, guidanceScale: 1, seed: 0, previewInterval: 1, backend: .all(.mlx))
    let (shown, _) = try await previews(TextToImagePipeline(bundleAt: bundle), request)
    let preview = try #require(shown[1])
    #expect(preview.width == 16)
    let pixels = stride(from: 0, to: preview.bytes.count, by: 3).map { Array(preview.bytes[$0..<$0 + 3]) }
    #expect(Set(pixels) == [[255, 128, 0]])

    try write(header.replacingOccurrences(of: "[3,16,1,1]", with: "[3,4,2,2]"))
    let error = await #expect(throws: BundleError.self) {
      try await previews(TextToImagePipeline(bundleAt: bundle), request)
    }
    #expect(error.map { "\($0)" }?.contains("expected [3·p², 16, k, k] with an odd k") == true)
    #expect(error.map { "\($0)" }?.contains("preview.safetensors") == true)
  }
}
