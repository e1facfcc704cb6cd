import Foundation
import TestSupport
import Testing

@testable import Tintype

@Suite struct ImageToImageTests {
  private func image(_ name: String) throws -> RGBImage {
    try PNG.decode(Data(contentsOf: TestData.url("image-to-image/\(name).png")))
  }

  private func request(_ source: ImageSource, _ backend: BackendChoice = .mlx) -> GenerationRequest {
    GenerationRequest(
      "a red circle above a blue square on a white background", negativePrompt: "blurry, low quality", steps: 8,
      guidanceScale: 5, seed: 9, generator: .torch, source: source, backend: .all(backend))
  }

  /// diffusers' pipelines with PyTorch's CPU generator (tests/data/scripts/make_image_to_image.py): the same seed gives
  /// the same noise, the same steps and the same latents.
  @Test(arguments: [BackendChoice.mlx, .coreml], [("image_to_image", 0.7, false), ("inpainting", 0.6, true)])
  func latentsAreDiffusers(_ backend: BackendChoice, _ row: (name: String, strength: Double, hasMask: Bool))
    async throws
  {
    let golden = try Safetensors(TestData.url("image-to-image/\(row.name).safetensors"))
    let source = ImageSource(
      try image("image"), mask: row.hasMask ? try image("mask") : nil, strength: row.strength)
    let pipeline = try TestBundles.pipeline("sd3-medium-tiny-float32")
    let result = try await pipeline.generate(request(source, backend))
    #expect(result.initialLatents.floats() == (try golden("noise").floats()))
    let difference = Difference(result.latents, try golden("final_latent"))
    #expect(difference.relative <= 1e-4, "\(row.name): \(difference)")
    #expect(result.settings.strength == row.strength)
  }

  @Test func sourceLatentsAreTheEncodersMeans() async throws {
    let golden = try Safetensors(TestData.url("image-to-image/image_to_image.safetensors"))
    let bundle = try ModelBundle(at: TestBundles.url("sd3-medium-tiny-float32"))
    let model = try await BackendChoice.mlx.makeBackend().load(bundle.packages(.vaeEncoder)[0], units: .all)
    let outputs = try await model.predict(["image": image("image").normalized()])
    let latent = bundle.descriptor.latent
    let source = try LatentSource(moments: #require(outputs["moments"]), latent: latent, mask: nil)
    let ours = try Tensor(shape: latent.shape, floats: source.latents)
    let difference = Difference(ours, try golden("source"))
    #expect(difference.relative <= 1e-4, "\(difference)")
  }

  @Test func outsideTheMaskTheSourceStays() async throws {
    let pipeline = try TestBundles.pipeline("sd3-medium-tiny-float32")
    let black = try #require(RGBImage(width: 128, height: 128, bytes: Array(repeating: 0, count: 128 * 128 * 3)))
    let kept = try await pipeline.generate(request(ImageSource(try image("image"), mask: black)))
    let golden = try Safetensors(TestData.url("image-to-image/image_to_image.safetensors"))
    #expect(Difference(kept.latents, try golden("source")).relative <= 1e-4)
  }

  @Test(arguments: [(8, 1.0, 0), (8, 0.7, 2), (28, 0.6, 11), (10, 0.3, 7), (2, 0.1, 1), (1, 0.5, 0), (4, 1e-20, 3)])
  func strengthSaysHowManyStepsAreRun(_ steps: Int, _ strength: Double, _ first: Int) throws {
    // diffusers: int(max(steps − min(steps·strength, steps), 0)); here at least one step is run.
    #expect(ImageSource(try image("image"), strength: strength).firstStep(of: steps) == first)
  }

  @Test func badSourcesAreNamedWithWhatWouldDo() throws {
    let fake = try FakeBundle()
    func message(_ source: ImageSource) -> String? {
      do {
        _ = try GenerationPlan(
          GenerationRequest("x", source: source), bundle: fake.bundle.descriptor, configuration: PipelineConfiguration()
        )
        return nil
      } catch { return "\(error)" }
    }
    let small = try #require(RGBImage(width: 1, height: 2, bytes: [0, 0, 0, 0, 0, 0]))
    let whole = try #require(RGBImage(width: 16, height: 8, bytes: Array(repeating: 0, count: 16 * 8 * 3)))
    let remedy = "have it resized (fill or stretch), or ask for size 1x2, which the model must be converted for"
    #expect(message(ImageSource(small)) == "the image is 1x2, but fake draws 16x8: \(remedy)")
    for resizing in [nil, Resizing.fill] {
      #expect(
        message(ImageSource(whole, mask: small, resizing: resizing))
          == "the mask is 1x2, but the image is 16x8: scale or crop the mask")
    }
    for strength in [0, -1, 1.01, .nan] {
      let text = "strength is \(strength), expected a number above 0 up to 1 (1 begins with noise alone)"
      #expect(message(ImageSource(whole, strength: strength)) == text)
    }
    #expect(message(ImageSource(whole))?.hasPrefix("the bundle fake has no component 'vae_encoder'") == true)
  }

  /// tests/data/scripts/make_resized_pictures.py: Pillow's Lanczos.
  @Test(arguments: Resizing.allCases, [ImageSize(width: 64, height: 64), ImageSize(width: 48, height: 128)])
  func picturesOfOtherSizesAreResizedAsPillowDoes(_ resizing: Resizing, _ size: ImageSize) throws {
    let golden = try PNG.decode(Data(contentsOf: TestData.url("resizing/\(resizing.rawValue)-\(size).png")))
    let picture = try PNG.decode(Data(contentsOf: TestData.url("resizing/picture.png")))
    #expect(try picture.resized(to: size, resizing) == golden)
  }

  @Test func aRunBeginsWithTheResizedPictureAndMask() async throws {
    let picture = try PNG.decode(Data(contentsOf: TestData.url("resizing/picture.png")))
    let size = ImageSize(width: 128, height: 128)
    let pipeline = try TestBundles.pipeline("sd3-medium-tiny-float32")
    var short = request(ImageSource(picture, mask: picture, resizing: .fill))
    short.steps = 2
    let resized = try picture.resized(to: size)
    var same = short
    same.source = ImageSource(resized, mask: resized)
    #expect(try await pipeline.generate(short).image == pipeline.generate(same).image)
  }

  @Test func masksAreShrunkByTheirMean() throws {
    var bytes = [UInt8](repeating: 0, count: 4 * 2 * 3)
    for index in 0..<3 { bytes[index] = 255 }
    for index in 6..<12 { bytes[index] = 255 }
    #expect(try #require(RGBImage(width: 4, height: 2, bytes: bytes)).coverage(side: 2) == [0.25, 0.5])
  }
}

@Suite struct SeveralPicturesTests {
  @Test func theNoiseContinuesAndTheTextIsReadOnce() async throws {
    let fake = try FakeBundle()
    let backend = fake.backend()
    let pipeline = try fake.pipeline(backend)
    let request = GenerationRequest("a", guidanceScale: 1, seed: 4)
    let results = try await pipeline.generate(request, count: 3)
    var random = NumPyRandom(seed: 4)
    #expect(results.map { $0.initialLatents.floats() } == (0..<3).map { _ in random.normals(4).map { Float($0) } })
    #expect(results.map(\.settings.imageIndex) == [0, 1, 2])
    #expect(backend.calls(.textEncoder).count == 1)
    #expect(backend.calls(.denoiser).count == 6)
    #expect(results.allSatisfy { $0.settings.backends.count == 3 })
    #expect(results[1].timings.textEncoder == .zero)
    #expect(try await pipeline.generate(request).latents.floats() == results[0].latents.floats())
    var events: [String] = []
    for try await event in try pipeline.events(request, count: 2) {
      switch event {
      case .conditioned(let start): events.append("start \(start.settings.imageIndex)")
      case .step(let step): events.append("step \(step.imageIndex) \(step.number)")
      case .compiling, .warning: events.append("other")
      case .done(let result): events.append("done \(result.settings.imageIndex)")
      }
    }
    #expect(events == ["start 0", "step 0 1", "step 0 2", "done 0", "start 1", "step 1 1", "step 1 2", "done 1"])
  }

  @Test func badCountsAreRefused() async throws {
    let pipeline = try FakeBundle().pipeline(FakeBundle().backend())
    await #expect(throws: RequestError.count(0, most: 10_000)) {
      try await pipeline.generate(GenerationRequest("a"), count: 0)
    }
    let noise = try Tensor.zeros(shape: [1, 2, 1, 2], elementType: .float32)
    let request = GenerationRequest("a", initialLatents: noise)
    #expect(throws: RequestError.latentsOfSeveral(count: 2)) { try pipeline.events(request, count: 2) }
    #expect(throws: RequestError.previewInterval(0)) { try pipeline.events(GenerationRequest("a", previewInterval: 0)) }
  }
}
