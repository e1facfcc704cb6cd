import Foundation
import Testing

@testable import Tintype

@Suite struct TextToImagePipelineTests {
  @Test func guidanceCallsADenoiserOfOneRowTwice() async throws {
    let fake = try FakeBundle()
    // The velocity is the context's first value: 0 for the negative prompt's row, 1 for the positive one's.
    let backend = fake.backend { component, inputs in
      switch component {
      case .textEncoder:
        let isPositive = inputs["input_ids"]?.int32s()[1] == 0
        let state = [Float](repeating: isPositive ? 1 : 0, count: 8)
        return [
          "hidden_states": try Tensor(shape: [1, 4, 2], floats: state),
          "pooled": try Tensor(shape: [1, 1], floats: [isPositive ? 7 : -7]),
        ]
      case .denoiser:
        let velocity = inputs["context"]?.floats()[0] ?? .nan
        return ["velocity": try Tensor(shape: [1, 2, 1, 2], floats: Array(repeating: velocity, count: 4))]
      default: return nil
      }
    }
    let noise = try Tensor(shape: [1, 2, 1, 2], floats: [1, 2, 3, 4])
    let request = GenerationRequest("a", negativePrompt: "b", steps: 2, guidanceScale: 3, initialLatents: noise)
    let result = try await fake.pipeline(backend).generate(request)

    let denoiser = backend.calls(.denoiser)
    #expect(denoiser.map { $0.inputs["context"]?[0] } == [0, 1, 0, 1])
    // One modulation for each entry of the schedule and each prompt, the negative one first.
    let modulation = backend.calls(.modulation)
    #expect(modulation.map { $0.inputs["pooled"]?[0] } == [-7, 7, -7, 7])
    let sigmas = FlowMatchSchedule(steps: 2, shift: .fixed(3)).sigmas
    let features = try [sigmas[0], sigmas[0], sigmas[1], sigmas[1]].map {
      try Sinusoid.features(timestep: $0 * 1000, rows: 1).floats()
    }
    #expect(modulation.map { $0.inputs["timestep_features"] } == features)
    // v = 0 + 3·(1 − 0); the steps' distances add up to −1.
    let expected = noise.floats().map { ($0 + (sigmas[1] - sigmas[0]) * 3) + (0 - sigmas[1]) * 3 }
    #expect(result.latents.floats() == expected)
    #expect(backend.calls(.vaeDecoder).map { $0.inputs["latent"] } == [expected.map { $0 / 2 + 0.5 }])
    // 0.5 / 2 + 0.5 = 0.75, times 255 = 191.25
    #expect(result.image.bytes == Array(repeating: 191, count: 16 * 8 * 3))
    #expect(result.settings.seed == nil)
  }

  @Test func aDenoiserOfTwoRowsIsCalledOnce() async throws {
    let fake = try FakeBundle(batch: 2)
    let backend = fake.backend { component, inputs in
      guard component == .denoiser else { return nil }
      return ["velocity": try Tensor(shape: [2, 2, 1, 2], floats: [0, 0, 0, 0, 1, 1, 1, 1])]
    }
    let noise = try Tensor(shape: [1, 2, 1, 2], floats: [0, 0, 0, 0])
    let result = try await fake.pipeline(backend).generate(
      GenerationRequest("a", steps: 1, guidanceScale: 2, initialLatents: noise))
    #expect(backend.calls(.denoiser).count == 1)
    let features = try Sinusoid.features(timestep: 1000, rows: 2)
    #expect(features.shape == [2, 256])
    #expect(backend.calls(.modulation).map { $0.inputs["timestep_features"] } == [features.floats()])
    #expect(result.latents.floats() == [-2, -2, -2, -2])
  }

  @Test(arguments: [1, 2], [0, 0.5, 1]) func withoutGuidanceOnlyThePositiveRowCounts(_ batch: Int, _ scale: Double)
    async throws
  {
    let fake = try FakeBundle(batch: batch)
    let backend = fake.backend(value: 1)
    let noise = try Tensor(shape: [1, 2, 1, 2], floats: [0, 0, 0, 0])
    let result = try await fake.pipeline(backend).generate(
      GenerationRequest("a", negativePrompt: "b", steps: 3, guidanceScale: scale, initialLatents: noise))
    #expect(backend.calls(.denoiser).count == 3)
    #expect(backend.calls(.textEncoder).count == 1)
    #expect(result.latents.floats().allSatisfy { abs($0 + 1) < 1e-6 })
  }

  @Test func float16BundlesGetAndGiveFloat16() async throws {
    let fake = try FakeBundle(precision: "float16")
    let backend = fake.backend()
    let result = try await fake.pipeline(backend).generate(GenerationRequest("a b", seed: 1))
    #expect(result.latents.elementType == .float32)
    let huge = try Tensor(shape: [1, 2, 1, 2], floats: [1, 2, 3, 70000])
    await #expect(throws: PipelineError.float16Overflow(component: .denoiser, input: "latent", largest: 70000)) {
      try await fake.pipeline(backend).generate(GenerationRequest("a", initialLatents: huge))
    }
  }

  @Test(arguments: ModelFamily.stableDiffusion3.required) func notANumberEndsTheRun(_ bad: PipelineComponent)
    async throws
  {
    let fake = try FakeBundle()
    let row = try fake.bundle.descriptor.component(bad)
    let backend = fake.backend { component, _ in
      guard component == bad else { return nil }
      return try row.outputs.reduce(into: [:]) { outputs, spec in
        outputs[spec.name] = try Tensor(
          shape: spec.shape, floats: Array(repeating: .infinity, count: spec.shape.reduce(1, *)))
      }
    }
    await #expect {
      try await fake.pipeline(backend).generate(GenerationRequest("a"))
    } throws: { error in
      guard case PipelineError.notFinite(bad, .mlx, _, _) = error else { return false }
      return "\(error)".hasSuffix("convert the model again in float32")
    }
  }

  @Test func t5IsOptional() async throws {
    let fake = try FakeBundle(hasT5: true)
    let backend = fake.backend(value: 1)
    let pipeline = try fake.pipeline(backend)
    let with = try await pipeline.generate(GenerationRequest("a", guidanceScale: 1))
    let without = try await pipeline.generate(GenerationRequest("a", guidanceScale: 1, useT5: false))
    #expect(with.settings.useT5 && !without.settings.useT5)
    #expect(backend.calls(.textEncoder3).count == 1)
    let contexts = backend.calls(.denoiser).compactMap { $0.inputs["context"] }
    // [4 CLIP tokens of 2 + 2 channels, padded to 5 ; 4 T5 tokens of 5]
    let clip: [Float] = Array(repeating: [1, 1, 1, 1, 0], count: 4).flatMap { $0 }
    #expect(contexts.first == clip + Array(repeating: 1, count: 20))
    #expect(contexts.last == clip + Array(repeating: 0, count: 20))
  }

  @Test func longPromptsAreCutWithAWarning() async throws {
    let fake = try FakeBundle(hasT5: true)
    let backend = fake.backend()
    let result = try await fake.pipeline(backend).generate(GenerationRequest("a b a b a", guidanceScale: 1))
    #expect(backend.calls(.textEncoder).first?.inputs["input_ids"] == [2, 0, 1, 3])
    #expect(result.warnings.count == 2)
    #expect(
      result.warnings.first
        == "the prompt is longer than the 4 tokens that CLIP reads; its last 3 tokens were cut: 'a b a b a'")
    let empty = try await fake.pipeline(backend).generate(GenerationRequest("", guidanceScale: 1))
    #expect(empty.warnings.isEmpty)
  }

  @Test func modelsAreLoadedOnceAndAfterUnloadAgain() async throws {
    let fake = try FakeBundle()
    let backend = fake.backend()
    let pipeline = try fake.pipeline(backend)
    #expect(backend.loads.isEmpty)
    async let first = pipeline.generate(GenerationRequest("a", seed: 1))
    async let second = pipeline.generate(GenerationRequest("a", seed: 1))
    let (one, two) = try await (first, second)
    #expect(one.latents.floats() == two.latents.floats())
    #expect(Set(backend.loads).count == 5 && backend.loads.count == 5)
    await pipeline.unload([.vae])
    _ = try await pipeline.generate(GenerationRequest("a", units: .all(.all)))
    #expect(backend.loads.count == 6 && backend.loads.last == "vae_decoder all")
    _ = try await pipeline.generate(GenerationRequest("a", units: .all(.all).with(.vae, .cpuOnly)))
    #expect(backend.loads.count == 7 && backend.loads.last == "vae_decoder cpu")
  }

  @Test func cancellingEndsARunBetweenModelCalls() async throws {
    let fake = try FakeBundle()
    let backend = fake.backend()
    let pipeline = try fake.pipeline(backend)
    let steps = 1000
    let task = Task {
      for try await event in try pipeline.events(GenerationRequest("a", steps: steps)) {
        if case .step(let step) = event, step.number == 2 { return step.number }
      }
      return 0
    }
    #expect(try await task.value == 2)
    // The loop's stop cancels the stream's task; what it had begun may finish.
    try await Task.sleep(for: .milliseconds(300))
    let calls = backend.calls(.denoiser).count
    try await Task.sleep(for: .milliseconds(100))
    #expect(backend.calls(.denoiser).count == calls)
    #expect(calls < 2 * steps)

    let cancelled = Task { try await pipeline.generate(GenerationRequest("a", steps: steps)) }
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
  }

  /// What the consumer of a stream lets go is gone: thousands of pictures must not pile up.
  @Test func aStreamKeepsNoPictures() async throws {
    let fake = try FakeBundle()
    let (alive, drawn, consumed) = (Locked(0), Locked(0), Locked(0))
    let most = Locked(0)
    let backend = fake.backend { component, _ in
      guard component == .vaeDecoder else { return nil }
      let number = drawn.withLock { drawn in
        drawn += 1
        return drawn
      }
      while consumed.withLock({ $0 }) < number - 1 { Thread.sleep(forTimeInterval: 0.001) }
      most.withLock { $0 = max($0, alive.withLock { $0 }) }
      alive.withLock { $0 += 1 }
      let size = 3 * 8 * 16 * MemoryLayout<Float>.size
      nonisolated(unsafe) let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
      memory.initializeMemory(as: UInt8.self, repeating: 0, count: size)
      return [
        "image": try Tensor(shape: [1, 3, 8, 16], elementType: .float32, taking: memory) {
          memory.deallocate()
          alive.withLock { $0 -= 1 }
        }
      ]
    }
    for try await event in try fake.pipeline(backend).events(GenerationRequest("a", steps: 1), count: 8) {
      if case .done = event { consumed.withLock { $0 += 1 } }
    }
    #expect(drawn.withLock { $0 } == 8)
    // The last one's event may be in the consumer's hands, and one in the run's.
    #expect(most.withLock { $0 } <= 2)
  }

  @Test func whatTheBackendSaysOfItselfIsReported() async throws {
    let fake = try FakeBundle()
    let backend = fake.backend(kind: .mlx)
    let configuration = PipelineConfiguration { choice, settings in
      let reason = "coreml could not load the package (no such op); using mlx"
      if choice == .auto { settings.notice(.movedOn(reason: reason)) }
      return backend
    }
    let pipeline = try TextToImagePipeline(bundle: fake.bundle, configuration: configuration)
    let request = GenerationRequest("a", backend: .all(.mlx).with(.vae, .auto))
    let told = Locked<[String]>([])
    let result = try await pipeline.generate(request) { event in
      switch event {
      case .warning(let text): told.withLock { $0.append(text) }
      case .done: told.withLock { $0.append("done") }
      default: break
      }
    }
    #expect(told.withLock { $0 } == result.warnings + ["done"])
    #expect(result.warnings == ["coreml could not load the package (no such op); using mlx"])
    #expect(result.stages[.vae]?.reason == "coreml could not load the package (no such op); using mlx")
    #expect(result.stages[.denoiser] == StageRun(backends: [.mlx], reason: "asked for"))
    // Once is enough.
    #expect(try await pipeline.generate(request).warnings.isEmpty)
  }

  @Test func whatNobodyWasThereToHearIsToldToTheNextRun() async throws {
    let fake = try FakeBundle()
    let backend = fake.backend()
    let notice = Locked<(@Sendable (BackendNotice) -> Void)?>(nil)
    let configuration = PipelineConfiguration { _, settings in
      notice.withLock { $0 = settings.notice }
      return backend
    }
    let pipeline = try TextToImagePipeline(bundle: fake.bundle, configuration: configuration)
    let request = GenerationRequest("a", backend: .all(.auto))
    #expect(try await pipeline.generate(request).warnings.isEmpty)
    notice.withLock { $0 }?(.movedOn(reason: "Core ML lost its way"))
    #expect(try await pipeline.generate(request).warnings == ["Core ML lost its way"])
    #expect(try await pipeline.generate(request).warnings.isEmpty)
  }

  @Test func ownBackendsGetTheConfigurationsSettings() throws {
    let (library, cache) = (URL(fileURLWithPath: "/engine"), URL(fileURLWithPath: "/cache"))
    let got = Locked<BackendSettings?>(nil)
    let configuration = PipelineConfiguration(
      engineLibrary: library, cacheFolder: cache, timeBox: .seconds(7),
      makeBackend: { choice, settings in
        got.withLock { $0 = settings }
        return choice.makeBackend(settings: settings)
      })
    #expect(configuration.backend(.coreml) { _ in }.kind == .coreml)
    let settings = try #require(got.withLock { $0 })
    #expect(settings.engineLibrary == library && settings.cacheFolder == cache && settings.timeBox == .seconds(7))
  }

  @Test func aFailedLoadIsTriedAgain() async throws {
    let fake = try FakeBundle()
    let backend = fake.backend()
    let attempts = Locked(0)
    let configuration = PipelineConfiguration { _, _ in
      attempts.withLock { $0 += 1 }
      return attempts.withLock { $0 } == 1 ? MissingBackend() : backend
    }
    let pipeline = try TextToImagePipeline(bundle: fake.bundle, configuration: configuration)
    await #expect(throws: BackendError.self) { try await pipeline.generate(GenerationRequest("a")) }
    _ = try await pipeline.generate(GenerationRequest("a"))
  }

  private struct MissingBackend: Backend {
    let kind = BackendKind.coreml
    func checkAvailability() throws {
      throw BackendError.unavailable(backend: .coreml, reason: "it is not there", remedy: "install it")
    }
    func load(_ package: URL, units: ComputeUnits) throws -> any LoadedModel {
      throw BackendError.unavailable(backend: .coreml, reason: "it is not there", remedy: "install it")
    }
  }

  @Test func packagesThatDoNotFitTheBundleAreRefused() async throws {
    let (one, other) = (try FakeBundle(), try FakeBundle(batch: 1, hasT5: true))
    // Outputs of another shape than bundle.json lists.
    let backend = one.backend { component, _ in
      guard component == .textEncoder2 else { return nil }
      return [
        "hidden_states": try Tensor(shape: [1, 3, 2], floats: Array(repeating: 0, count: 6)),
        "pooled": try Tensor(shape: [1, 2], floats: [0, 0]),
      ]
    }
    await #expect(
      throws: PipelineError.shapeMismatch(
        what: "text_encoder_2's output 'hidden_states'", expected: [1, 4, 2], actual: [1, 3, 2])
    ) { try await one.pipeline(backend).generate(GenerationRequest("a")) }
    // A package without an output.
    let short = other.backend { component, _ in component == .modulation ? [:] : nil }
    await #expect(throws: PipelineError.self) { try await other.pipeline(short).generate(GenerationRequest("a")) }
  }

  @Test func descriptionsThatContradictThemselvesAreErrors() async throws {
    // bundle.json lists a velocity of another size than the latent.
    let fake = try FakeBundle(velocity: [1, 2, 1, 1])
    await #expect(
      throws: PipelineError.shapeMismatch(what: "the velocity", expected: [1, 2, 1, 2], actual: [1, 2, 1, 1])
    ) { try await fake.pipeline(fake.backend()).generate(GenerationRequest("a")) }
    let image = try FakeBundle(image: [1, 3, 8, 8])
    await #expect(
      throws: PipelineError.shapeMismatch(what: "the decoded picture", expected: [1, 3, 8, 16], actual: [1, 3, 8, 8])
    ) { try await image.pipeline(image.backend()).generate(GenerationRequest("a")) }
  }

  @Test func settingsInAPictureAreTheRuns() async throws {
    let fake = try FakeBundle()
    let result = try await fake.pipeline(fake.backend()).generate(
      GenerationRequest("a \"b\" 東京", negativePrompt: "c", guidanceScale: 1.5, seed: 9))
    let file = fake.folder.appendingPathComponent("out.png")
    try result.write(to: file)
    let read = try PNGReader(Data(contentsOf: file))
    #expect(read.image == result.image)
    let text = try #require(read.texts[GenerationSettings.pngKeyword])
    #expect(try JSONDecoder().decode(GenerationSettings.self, from: Data(text.utf8)) == result.settings)
    let missing = fake.folder.appendingPathComponent("none/out.png")
    #expect(throws: OutputError.self) { try result.write(to: missing) }
  }
}
