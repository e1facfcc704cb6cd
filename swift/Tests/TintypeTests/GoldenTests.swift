import Foundation
import TestSupport
import Testing

@testable import Tintype

/// The tiny Stable Diffusion 3 reference of PyTorch and diffusers (tests/data/scripts/make_reference.py): prompt,
/// settings and every stage's numbers.
private enum Golden {
  static let prompt = "a red circle above a blue square on a white background"
  static let negative = "blurry, low quality"

  static func file(_ name: String) throws -> Safetensors {
    try Safetensors(TestData.url("sd3-medium-tiny/golden/\(name).safetensors"))
  }

  static func request(_ backend: BackendChoice, useT5: Bool = true) throws -> GenerationRequest {
    GenerationRequest(
      prompt, negativePrompt: negative, steps: 6, guidanceScale: 5,
      initialLatents: try file("generate")("initial_latent"),
      backend: .all(backend), useT5: useT5)
  }
}

/// Every number within this share of the golden's largest value. The bar is 1e-3.
private let tolerance = 1e-4

@Suite struct GoldenTests {
  @Test(arguments: [BackendChoice.mlx, .coreml]) func everyStageOfARunMatches(_ backend: BackendChoice) async throws {
    let (text, golden) = (try Golden.file("text"), try Golden.file("generate"))
    let pipeline = try TestBundles.pipeline("sd3-medium-tiny-float32")
    var steps = 0
    var finished: GenerationResult?
    for try await event in try pipeline.events(Golden.request(backend)) {
      switch event {
      case .conditioned(let start):
        check(start.positive.context, try text("prompt_embeds"), "context")
        check(start.positive.pooled, try text("pooled"), "pooled")
        let negative = try #require(start.negative)
        check(negative.context, try text("negative_prompt_embeds"), "negative context")
        check(negative.pooled, try text("negative_pooled"), "negative pooled")
        #expect(zip(start.schedule.sigmas, try golden("sigmas").floats()).allSatisfy { abs($0 - $1) <= 1e-6 })
        #expect(zip(start.schedule.timesteps, try golden("timesteps").floats()).allSatisfy { abs($0 - $1) <= 1e-3 })
      case .step(let step):
        #expect(step.number == steps + 1)
        check(step.latents, try golden("latents").row(steps).reshaped(to: step.latents.shape), "step \(step.number)")
        steps += 1
      case .done(let result): finished = result
      case .compiling, .warning: break
      }
    }
    #expect(steps == 6)
    let result = try #require(finished)
    check(result.latents, try golden("final_latent"), "final latent")
    check(result.decoded, try golden("image"), "image")
    let picture = try PNGReader(Data(contentsOf: TestData.url("sd3-medium-tiny/golden/image.png"))).image
    #expect(largestDifference(result.image, picture) <= 1)
    let kind = try #require(BackendKind(rawValue: backend.rawValue))
    #expect(result.settings.backends == [.textEncoder: [kind], .denoiser: [kind], .vae: [kind]])
    #expect(result.warnings.isEmpty)
  }

  @Test(arguments: [BackendChoice.mlx, .coreml]) func withoutT5ZerosTakeItsPlace(_ backend: BackendChoice) async throws
  {
    let golden = try Golden.file("generate_without_t5")
    let result = try await TestBundles.pipeline("sd3-medium-tiny-float32").generate(
      Golden.request(backend, useT5: false))
    check(result.latents, try golden("final_latent"), "final latent without T5")
    #expect(!result.settings.useT5)
  }

  @Test(arguments: [BackendChoice.mlx, .coreml]) func float16KeepsThePicture(_ backend: BackendChoice) async throws {
    let golden = try Golden.file("generate")
    let result = try await TestBundles.pipeline("sd3-medium-tiny-float16").generate(Golden.request(backend))
    let image = Difference(result.decoded, try golden("image"))
    #expect(image.psnr >= 40, "\(image)")
  }

  @Test(arguments: ["sd3-medium-tiny-float32", "sd3-medium-tiny-float16"])
  func tokensHiddenStatesVelocityAndDecodingMatch(_ name: String) async throws {
    let bundle = try ModelBundle(at: TestBundles.url(name))
    let models = ComponentModels(bundle: bundle, configuration: PipelineConfiguration())
    let recorder = RunRecorder()
    let plan = try GenerationPlan(
      Golden.request(.mlx), bundle: bundle.descriptor, configuration: PipelineConfiguration())
    func compare(_ ours: Tensor, _ reference: Tensor, _ what: String) {
      if bundle.descriptor.precision == .float32 {
        check(ours, reference, what)
      } else {
        let difference = Difference(ours, reference)
        #expect(difference.psnr >= 40, "\(what): \(difference)")
      }
    }

    let text = try Golden.file("text")
    let encoders = TextEncoders(bundle: bundle, models: models)
    for (tokenizer, component, number) in [
      ("tokenizer", PipelineComponent.textEncoder, 1), ("tokenizer_2", .textEncoder2, 2),
      ("tokenizer_3", .textEncoder3, 3),
    ] {
      let ids = try await encoders.tokens(tokenizer, Golden.prompt, recorder: recorder)
      #expect(ids.int32s() == (try text("ids_\(number)").int32s()), "\(tokenizer)")
      let outputs = try await models.run(component, ["input_ids": ids], plan: plan, recorder: recorder)
      compare(try #require(outputs["hidden_states"]), try text("hidden_\(number)"), "\(component) hidden states")
      if let pooled = outputs["pooled"] { compare(pooled, try text("pooled_\(number)"), "\(component) pooled") }
    }

    let denoiser = try Golden.file("transformer")
    for row in 0..<2 {
      let features = try Sinusoid.features(timestep: denoiser("timestep").floats()[row], rows: 1)
      let modulation = try await models.run(
        .modulation, ["timestep_features": features, "pooled": denoiser("pooled").row(row)], plan: plan,
        recorder: recorder)
      let outputs = try await models.run(
        .denoiser,
        [
          "latent": denoiser("latent").row(row), "context": denoiser("context").row(row),
          "modulation": try #require(modulation["modulation"]),
        ], plan: plan, recorder: recorder)
      compare(try #require(outputs["velocity"]), try denoiser("velocity").row(row), "velocity of row \(row)")
    }

    let vae = try Golden.file("vae")
    let latent = bundle.descriptor.latent
    let scaled = try vae("latent").floats().map { $0 / Float(latent.scale) + Float(latent.shift) }
    let outputs = try await models.run(
      .vaeDecoder, ["latent": Tensor(shape: latent.shape, floats: scaled)], plan: plan, recorder: recorder)
    compare(try #require(outputs["image"]), try vae("decoded"), "decoded picture")
  }

  @Test func bothBackendsDrawTheSamePicture() async throws {
    let pipeline = try TestBundles.pipeline("sd3-medium-tiny-float32")
    func draw(_ backend: PerStage<BackendChoice>) async throws -> GenerationResult {
      try await pipeline.generate(
        GenerationRequest(Golden.prompt, steps: 3, guidanceScale: 4, seed: 11, backend: backend))
    }
    let mlx = try await draw(.all(.mlx))
    let coreml = try await draw(.all(.coreml))
    let mixed = try await draw(.all(.mlx).with(.vae, .coreml))
    #expect(largestDifference(mlx.image, coreml.image) <= 1)
    #expect(largestDifference(mlx.image, mixed.image) <= 1)
    #expect(mixed.settings.backends == [.textEncoder: [.mlx], .denoiser: [.mlx], .vae: [.coreml]])
    await pipeline.unload()
    #expect(try await draw(.all(.mlx)).image == mlx.image)
  }

  /// tests/data/demo-model-golden: the embedded model, seed 7, 12 steps, guidance 4.
  @Test func embeddedModelMatchesItsGolden() async throws {
    let golden = try Safetensors(TestData.url("demo-model-golden/generate.safetensors"))
    let pipeline = try TestBundles.pipeline("demo")
    let request = GenerationRequest(Golden.prompt, steps: 12, guidanceScale: 4, seed: 7, backend: .all(.mlx))
    var noise: Tensor?
    var finished: GenerationResult?
    for try await event in try pipeline.events(request) {
      if case .conditioned(let start) = event { noise = start.initialLatents }
      if case .done(let result) = event { finished = result }
    }
    #expect(try #require(noise).floats() == (try golden("initial_latent").floats()))
    let image = Difference(try #require(finished).decoded, try golden("image"))
    #expect(image.psnr >= 40, "\(image)")
  }

  private func check(_ ours: Tensor, _ reference: Tensor, _ what: String) {
    let difference = Difference(ours, reference)
    #expect(difference.relative <= tolerance, "\(what): \(difference)")
  }

  private func largestDifference(_ a: RGBImage, _ b: RGBImage) -> Int {
    guard a.width == b.width, a.height == b.height else { return 256 }
    return zip(a.bytes, b.bytes).reduce(0) { max($0, abs(Int($1.0) - Int($1.1))) }
  }
}
