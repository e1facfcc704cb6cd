import Testing

@testable import Tintype

@Suite struct GenerationPlanTests {
  private let fake: FakeBundle

  init() throws { fake = try FakeBundle() }

  private func plan(_ request: GenerationRequest) throws -> GenerationPlan {
    try GenerationPlan(request, bundle: fake.bundle.descriptor, configuration: PipelineConfiguration())
  }

  @Test func defaultsComeFromTheBundle() throws {
    let plan = try plan(GenerationRequest("x", seed: 3))
    #expect(plan.settings.steps == 2)
    #expect(plan.settings.guidanceScale == 3)
    #expect(plan.isGuided)
    #expect(plan.settings.width == 16 && plan.settings.height == 8)
    var random = NumPyRandom(seed: 3)
    #expect(try plan.firstNoise().floats() == random.normals(4).map { Float($0) })
  }

  @Test(arguments: NoiseGenerator.allCases) func theNoiseIsTheGeneratorsOwn(_ generator: NoiseGenerator) throws {
    let plan = try plan(GenerationRequest("x", seed: 3, generator: generator))
    var random = generator(seed: 3)
    #expect(try plan.firstNoise().floats() == random.normals(4).map { Float($0) })
    #expect(plan.settings.generator == generator)
  }

  @Test func aDrawnSeedIsReported() throws {
    let seeds = try (0..<8).map { _ in try plan(GenerationRequest("x")).settings.seed }
    #expect(Set(seeds).count > 1)
  }

  @Test func theLargestSeedIsLegal() throws {
    #expect(try plan(GenerationRequest("x", seed: .max)).settings.seed == 4_294_967_295)
  }

  @Test(arguments: [
    (GenerationRequest("x", steps: 0), "steps is 0, expected an integer from 1 to 1000; 2 is this model's default"),
    (
      GenerationRequest("x", steps: 1001),
      "steps is 1001, expected an integer from 1 to 1000; 2 is this model's default"
    ),
    (
      GenerationRequest("x", guidanceScale: .nan),
      "guidanceScale is nan, expected a number of at least 0 (1 or less: no guidance), at most 1e+35"
    ),
    (
      GenerationRequest("x", guidanceScale: -1),
      "guidanceScale is -1.0, expected a number of at least 0 (1 or less: no guidance), at most 1e+35"
    ),
    (
      GenerationRequest("x", guidanceScale: 1e300),
      "guidanceScale is 1e+300, expected a number of at least 0 (1 or less: no guidance), at most 1e+35"
    ),
    (
      GenerationRequest("x", size: ImageSize(width: 100, height: 64)),
      "width is 100, expected a multiple of 16, such as 96"
    ),
    (
      GenerationRequest("x", size: ImageSize(width: 64, height: 0)),
      "height is 0, expected a multiple of 16, such as 16"
    ),
    (
      GenerationRequest("x", size: ImageSize(width: 64, height: Int.max)),
      "height is 9223372036854775807, expected a multiple of 16, such as 16"
    ),
    (
      GenerationRequest("x", size: ImageSize(width: 64, height: 32)),
      "size is 64x32, but the model fake was converted for 16x8: leave size out, or convert the model again for "
        + "64x32"
    ),
  ]) func badValuesAreNamedWithWhatWouldDo(_ request: GenerationRequest, _ message: String) {
    #expect {
      _ = try plan(request)
    } throws: { error in
      #expect("\(error)" == message)
      return error is RequestError
    }
  }

  /// 8 is no multiple of 16, but it is the bundle's own height.
  @Test func aBundlesOwnSizeIsTaken() throws {
    let plan = try plan(GenerationRequest("x", size: ImageSize(width: 16, height: 8)))
    #expect(plan.settings.width == 16 && plan.settings.height == 8)
    #expect(throws: RequestError.sizeMultiple(side: "height", value: 24)) {
      try self.plan(GenerationRequest("x", size: ImageSize(width: 16, height: 24)))
    }
  }

  @Test func initialLatentsAreChecked() throws {
    let ints = try Tensor(shape: [1, 2, 1, 2], int32s: [1, 2, 3, 4])
    #expect(throws: RequestError.latentsType(.int32)) { try plan(GenerationRequest("x", initialLatents: ints)) }
    let flat = try Tensor(shape: [4], floats: [1, 2, 3, 4])
    #expect(throws: RequestError.latentsShape(expected: [1, 2, 1, 2], actual: [4])) {
      try plan(GenerationRequest("x", initialLatents: flat))
    }
    let bad = try Tensor(shape: [1, 2, 1, 2], floats: [1, .nan, .infinity, 4])
    #expect(throws: RequestError.latentsNotFinite(count: 2)) { try plan(GenerationRequest("x", initialLatents: bad)) }
    let half = try Tensor(shape: [1, 2, 1, 2], floats: [1, 2, 3, 4]).converted(to: .float16)
    #expect(try plan(GenerationRequest("x", seed: 4, initialLatents: half)).firstNoise().floats() == [1, 2, 3, 4])
    #expect(try plan(GenerationRequest("x", seed: 4, initialLatents: half)).settings.seed == nil)
  }

  @Test(arguments: ModelFamily.stableDiffusion3.required) func missingComponentsAreFoundBeforeAnythingRuns(
    _ missing: PipelineComponent
  ) throws {
    let bundle = try FakeBundle(omitting: missing.rawValue).bundle
    let known = ModelFamily.stableDiffusion3.required.filter { $0 != missing }.map(\.rawValue)
    #expect(throws: BundleError.missingComponent(name: missing.rawValue, bundle: "fake", known: known)) {
      try TextToImagePipeline(bundle: bundle)
    }
  }
}

extension GenerationPlan {
  fileprivate func firstNoise() throws -> Tensor {
    var stream = noise
    return try stream.next()
  }
}
