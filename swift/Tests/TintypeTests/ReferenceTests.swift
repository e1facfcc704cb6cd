import Foundation
import TestSupport
import Testing

@testable import Tintype

/// The tiny pipelines of PyTorch and diffusers (tests/data/scripts/make_reference.py): every family and variant, from
/// the prompt to the picture.
private struct Reference: Sendable, CustomTestStringConvertible {
  let name: String
  /// FLUX's reference keeps the latents packed: [1, h/2·w/2, C·4].
  let isPacked: Bool

  var testDescription: String { name }

  struct Run: Decodable {
    let prompt: String
    let negativePrompt: String?
    let steps: Int
    let guidanceScale: Double

    private enum CodingKeys: String, CodingKey {
      case prompt, steps
      case negativePrompt = "negative_prompt"
      case guidanceScale = "guidance_scale"
    }
  }

  var run: Run { get throws { try TestData.decode(Run.self, "\(name)/golden/generate.json") } }

  func golden(_ part: String) throws -> Safetensors {
    try Safetensors(TestData.url("\(name)/golden/\(part).safetensors"))
  }

  func pipeline() throws -> TextToImagePipeline { try TestBundles.pipeline("\(name)-float32") }

  /// The latents after a step, unpacked: token (y, x) holds the channels' two by two pixels, channel first.
  func latents(_ step: Int, shape: [Int]) throws -> Tensor {
    guard isPacked else { return try golden("generate")("latents").row(step).reshaped(to: shape) }
    let packed = try golden("generate")("latents_packed").row(step).floats()
    let (channels, height, width) = (shape[1], shape[2], shape[3])
    var values: [Float] = []
    for index in 0..<channels * height * width {
      let (channel, row, column) = (index / (height * width), index / width % height, index % width)
      let token = row / 2 * (width / 2) + column / 2
      values.append(packed[token * channels * 4 + channel * 4 + row % 2 * 2 + column % 2])
    }
    return try Tensor(shape: shape, floats: values)
  }

  static let all = [
    Reference(name: "sd3-medium-tiny", isPacked: false), Reference(name: "sd3.5-medium-tiny", isPacked: false),
    Reference(name: "sd3.5-large-tiny", isPacked: false), Reference(name: "flux-dev-tiny", isPacked: true),
    Reference(name: "flux-schnell-tiny", isPacked: true),
  ]
}

/// Every number within this share of the golden's largest value. The bar is 1e-3.
private let tolerance = 1e-4

@Suite struct ReferenceTests {
  @Test(arguments: Reference.all, [BackendChoice.mlx, .coreml])
  fileprivate func everyStepMatches(_ reference: Reference, _ backend: BackendChoice) async throws {
    let (run, text, golden) = (try reference.run, try reference.golden("text"), try reference.golden("generate"))
    let request = GenerationRequest(
      run.prompt, negativePrompt: run.negativePrompt ?? "", steps: run.steps, guidanceScale: run.guidanceScale,
      initialLatents: try golden("initial_latent"), backend: .all(backend))
    var finished: GenerationResult?
    for try await event in try reference.pipeline().events(request) {
      switch event {
      case .conditioned(let start):
        check(start.positive.context, try text("prompt_embeds"), "context")
        check(start.positive.pooled, try text("pooled"), "pooled")
        #expect((start.negative == nil) == reference.isPacked)
        #expect(zip(start.schedule.sigmas, try golden("sigmas").floats()).allSatisfy { abs($0 - $1) <= 1e-6 })
      case .step(let step):
        let expected = try reference.latents(step.number - 1, shape: step.latents.shape)
        check(step.latents, expected, "step \(step.number)")
      case .done(let result): finished = result
      case .compiling, .warning: break
      }
    }
    let result = try #require(finished)
    check(result.latents, try golden("final_latent"), "final latent")
    check(result.decoded, try golden("image"), "image")
    let picture = try #require(RGBImage(decoded: golden("image")))
    #expect(zip(result.image.bytes, picture.bytes).allSatisfy { abs(Int($0) - Int($1)) <= 1 })
    #expect(result.warnings.isEmpty)
  }

  @Test func fluxHasNoNegativePassAndNeedsT5() async throws {
    let pipeline = try TestBundles.pipeline("flux-schnell-tiny-float32")
    let request = GenerationRequest("a", negativePrompt: "b", steps: 1, guidanceScale: 5, seed: 1, backend: .all(.mlx))
    let result = try await pipeline.generate(request)
    #expect(result.warnings == ["the negative prompt has no influence: models of the family flux have none"])
    // Schnell does not embed the scale, so that it changes nothing.
    let other = GenerationRequest("a", steps: 1, guidanceScale: 0, seed: 1, backend: .all(.mlx))
    #expect(try await pipeline.generate(other).latents.floats() == result.latents.floats())
    await #expect(throws: RequestError.t5Needed(model: "flux-schnell-tiny", family: "flux")) {
      try await pipeline.generate(GenerationRequest("a", useT5: false))
    }
  }

  @Test func devEmbedsTheScale() async throws {
    let pipeline = try TestBundles.pipeline("flux-dev-tiny-float32")
    func draw(_ scale: Double) async throws -> [Float] {
      let request = GenerationRequest("a", steps: 1, guidanceScale: scale, seed: 1, backend: .all(.mlx))
      return try await pipeline.generate(request).latents.floats()
    }
    let (one, five) = (try await draw(1), try await draw(5))
    #expect(one != five)
    #expect(try await draw(5) == five)
  }

  private func check(_ ours: Tensor, _ reference: Tensor, _ what: String) {
    let difference = Difference(ours, reference)
    #expect(difference.relative <= tolerance, "\(what): \(difference)")
  }
}
