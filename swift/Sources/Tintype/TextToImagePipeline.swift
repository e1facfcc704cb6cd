import Foundation

/// Draws pictures with a bundle.
///
///     let pipeline = try TextToImagePipeline(bundleAt: folder)
///     let result = try await pipeline.generate(GenerationRequest("a red circle", seed: 7))
///     try result.write(to: URL(fileURLWithPath: "circle.png"))
///
/// tokens ─► text encoders ─► modulation of every step ─► denoiser, Euler steps ─► VAE ─► picture
///
/// Models are loaded on first use and kept until `unload`. Cancelling the task ends a run before its next model call.
public struct TextToImagePipeline: Sendable {
  public let bundle: ModelBundle
  private let configuration: PipelineConfiguration
  private let models: ComponentModels
  private let text: TextEncoders

  /// Reads and checks the bundle's description; loads no model yet. Throws `BundleError`.
  public init(bundleAt folder: URL, configuration: PipelineConfiguration = PipelineConfiguration()) throws {
    try self.init(bundle: ModelBundle(at: folder), configuration: configuration)
  }

  public init(bundle: ModelBundle, configuration: PipelineConfiguration = PipelineConfiguration()) throws {
    for component in bundle.descriptor.modelFamily.required { _ = try bundle.descriptor.component(component) }
    self.bundle = bundle
    self.configuration = configuration
    models = ComponentModels(bundle: bundle, makeBackend: configuration.makeBackend)
    text = TextEncoders(bundle: bundle, models: models)
  }

  /// Draws one picture. `onEvent` is told of the conditioning, every step and the result, in order.
  ///
  /// When its task is cancelled, a run waits for the model call that it is in. Throws `RequestError`, `BackendError`,
  /// `PipelineError`, `BundleError`, `TokenizerError` or `CancellationError`.
  public func generate(
    _ request: GenerationRequest, onEvent: @Sendable (GenerationEvent) -> Void = { _ in }
  ) async throws -> GenerationResult {
    try await run(try plan(request), onEvent)
  }

  /// `generate` as a stream: `.conditioned`, every `.step`, `.done`. The request is checked at once; a consumer that
  /// stops iterating cancels the run.
  public func events(_ request: GenerationRequest) throws -> AsyncThrowingStream<GenerationEvent, any Error> {
    let plan = try plan(request)
    return AsyncThrowingStream { continuation in
      let task = Task {
        do {
          _ = try await run(plan) { continuation.yield($0) }
          continuation.finish()
        } catch {
          continuation.finish(throwing: error)
        }
      }
      continuation.onTermination = { reason in
        if case .cancelled = reason { task.cancel() }
      }
    }
  }

  /// Frees the models of some stages; a later run loads them again.
  public func unload(_ stages: Set<Stage> = Set(Stage.allCases)) async {
    await models.unload(Set(Component.allCases.filter { stages.contains($0.stage) }))
  }

  private func plan(_ request: GenerationRequest) throws -> GenerationPlan {
    try GenerationPlan(request, bundle: bundle.descriptor, configuration: configuration)
  }

  private func run(
    _ plan: GenerationPlan, _ tell: @Sendable (GenerationEvent) -> Void
  ) async throws -> GenerationResult {
    let recorder = RunRecorder()
    let descriptor = bundle.descriptor
    let schedule = descriptor.noiseSchedule(steps: plan.settings.steps)
    plan.warnings.forEach(recorder.warn)
    let (rows, _) = try await recorder.time(\.textEncoder) {
      let positive = try await text.encode(plan.settings.prompt, plan: plan, recorder: recorder)
      guard plan.isGuided else { return [positive] }
      return [try await text.encode(plan.settings.negativePrompt, plan: plan, recorder: recorder), positive]
    }
    let (denoiser, _) = try await recorder.time(\.modulation) {
      try await Denoiser(
        bundle: descriptor, models: models, plan: plan, schedule: schedule, rows: rows, recorder: recorder)
    }
    tell(
      .conditioned(
        GenerationEvent.Conditioned(
          settings: plan.settings, schedule: schedule, initialLatents: plan.latents, positive: rows[rows.count - 1],
          negative: rows.count > 1 ? rows[0] : nil)))

    var latents = plan.latents
    for step in schedule.timesteps.indices {
      let before = latents
      let (after, seconds) = try await recorder.time(\.denoiser) {
        let velocity = try await denoiser.velocity(before, step: step)
        return try Self.euler(before, velocity, from: schedule.sigmas[step], to: schedule.sigmas[step + 1])
      }
      latents = after
      tell(
        .step(
          GenerationEvent.Step(
            number: step + 1, steps: schedule.timesteps.count, sigma: schedule.sigmas[step],
            timestep: schedule.timesteps[step], latents: after, seconds: seconds)))
    }
    let final = latents
    let (decoded, _) = try await recorder.time(\.vae) { try await decode(final, plan: plan, recorder: recorder) }
    let result = try finished(plan, final, decoded, recorder)
    tell(.done(result))
    return result
  }

  /// x + (σ_next − σ)·v, float32.
  static func euler(_ latents: Tensor, _ velocity: [Float], from sigma: Float, to next: Float) throws -> Tensor {
    let distance = next - sigma
    return try Tensor(shape: latents.shape, floats: zip(latents.floats(), velocity).map { $0 + distance * $1 })
  }

  /// Model space ─► VAE space (x / scale + shift) ─► pixels in −1…1, float32 [1, 3, H, W].
  private func decode(_ latents: Tensor, plan: GenerationPlan, recorder: RunRecorder) async throws -> Tensor {
    let (scale, shift) = (Float(bundle.descriptor.latent.scale), Float(bundle.descriptor.latent.shift))
    let scaled = try Tensor(shape: latents.shape, floats: latents.floats().map { $0 / scale + shift })
    let outputs = try await models.run(.vaeDecoder, [BundleNames.latent: scaled], plan: plan, recorder: recorder)
    return try outputs.float32(BundleNames.image, .vaeDecoder, bundle.descriptor)
  }

  private func finished(
    _ plan: GenerationPlan, _ latents: Tensor, _ decoded: Tensor, _ recorder: RunRecorder
  ) throws -> GenerationResult {
    let size = bundle.descriptor.size
    guard let image = RGBImage(decoded: decoded), image.width == size.width, image.height == size.height else {
      throw PipelineError.shapeMismatch(
        what: "the decoded picture", expected: [1, 3, size.height, size.width], actual: decoded.shape)
    }
    let stages = recorder.stages
    var settings = plan.settings
    for (stage, run) in stages { settings.backends[stage.rawValue] = run.backend }
    return GenerationResult(
      image: image, initialLatents: plan.latents, latents: latents, decoded: decoded, settings: settings,
      stages: stages, timings: recorder.timings,
      warnings: recorder.warnings)
  }
}

extension GenerationResult {
  /// Writes the picture as PNG with the settings inside; the file appears complete or not at all.
  public func write(to url: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let parameters = String(decoding: try encoder.encode(settings), as: UTF8.self)
    let texts = [("Software", "tintype \(tintypeVersion)"), (GenerationSettings.pngKeyword, parameters)]
    try AtomicFile.write(PNG.encode(image, texts: texts), to: url)
  }
}
