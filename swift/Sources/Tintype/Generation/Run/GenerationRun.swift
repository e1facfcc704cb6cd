/// One run: text once, then picture after picture.
///
/// prompts ─► conditioning ─► modulation of every step ┐
/// source picture ─► VAE encoder ─► noised ────────────┴► Euler steps ─► VAE decoder ─► picture
struct GenerationRun: Sendable {
  let models: ComponentModels
  let text: TextEncoders
  let previews: PreviewStore
  let plan: GenerationPlan

  private var bundle: BundleDescriptor { plan.bundle }

  /// What all pictures of a run share. `rows` are the prompts: [negative, positive] under guidance, else [positive].
  private struct Shared: Sendable {
    let schedule: FlowMatchSchedule
    let rows: [TextConditioning]
    let denoiser: Denoiser
    let source: LatentSource?
    let projection: LatentProjection?
  }

  /// Draws all pictures. Each is told when it is done and not kept: one has megabytes of latents and pixels.
  func pictures(_ tell: @escaping @Sendable (GenerationEvent) -> Void) async throws {
    var recorder = RunRecorder(collectsStatistics: plan.collectsStatistics, tell: tell)
    plan.warnings.forEach(recorder.warn)
    let shared = try await shared(recorder)
    var stream = plan.noise
    for index in 0..<plan.count {
      if index > 0 { recorder = recorder.next() }
      try await picture(index, noise: try stream.next(), shared, recorder, tell)
    }
  }

  private func shared(_ recorder: RunRecorder) async throws -> Shared {
    let (rows, _) = try await recorder.time(\.textEncoder) {
      let positive = try await text.encode(plan.settings.prompt, plan: plan, recorder: recorder)
      guard plan.isGuided else { return [positive] }
      return [try await text.encode(plan.settings.negativePrompt, plan: plan, recorder: recorder), positive]
    }
    await models.finished(with: [.textEncoder, .textEncoder2, .textEncoder3])
    let whole = bundle.noiseSchedule(steps: plan.settings.steps)
    let schedule = whole.dropping(plan.source?.firstStep(of: plan.settings.steps) ?? 0)
    let (denoiser, _) = try await recorder.time(\.modulation) {
      try await Denoiser(
        models: models, plan: plan, schedule: schedule, rows: rows, recorder: recorder)
    }
    await models.finished(with: [.modulation])
    let (source, _) = try await recorder.time(\.vae) { try await encodedSource(recorder) }
    let (projection, _) = try await recorder.time(\.vae) { try await fittedProjection(recorder) }
    await models.finished(with: [.vaeEncoder, .vaeDecoder])
    return Shared(schedule: schedule, rows: rows, denoiser: denoiser, source: source, projection: projection)
  }

  private func picture(
    _ index: Int, noise: Tensor, _ shared: Shared, _ recorder: RunRecorder,
    _ tell: @Sendable (GenerationEvent) -> Void
  ) async throws {
    let (schedule, rows) = (shared.schedule, shared.rows)
    var settings = plan.settings
    settings.imageIndex = index
    tell(
      .conditioned(
        GenerationEvent.Conditioned(
          settings: settings, schedule: schedule, initialLatents: noise, positive: rows[rows.count - 1],
          negative: rows.count > 1 ? rows[0] : nil)))
    var latents = try shared.source?.noised(noise, sigma: schedule.sigmas[0]) ?? noise
    for step in schedule.timesteps.indices {
      let before = latents
      let (done, duration) = try await recorder.time(\.denoiser) { () -> (latents: Tensor, preview: RGBImage?) in
        let velocity = try await shared.denoiser.velocity(before, step: step, recorder: recorder)
        let (sigma, next) = (schedule.sigmas[step], schedule.sigmas[step + 1])
        let drawn = try Self.euler(before, velocity, from: sigma, to: next)
        let after = try shared.source?.kept(around: drawn, noise: noise, sigma: next) ?? drawn
        return (after, try preview(step, before, velocity, sigma, shared.projection))
      }
      latents = done.latents
      tell(
        .step(
          GenerationEvent.Step(
            imageIndex: index, number: step + 1, steps: schedule.timesteps.count, sigma: schedule.sigmas[step],
            timestep: schedule.timesteps[step], latents: done.latents, duration: duration, preview: done.preview)))
    }
    let final = latents
    if index == plan.count - 1 { await models.finished(with: [.denoiser]) }
    let (decoded, _) = try await recorder.time(\.vae) { try await decode(final, recorder) }
    await models.finished(with: [.vaeDecoder])
    tell(.done(try finished(settings, noise, final, decoded, recorder)))
  }

  /// x + (σ_next − σ)·v, float32.
  static func euler(_ latents: Tensor, _ velocity: [Float], from sigma: Float, to next: Float) throws -> Tensor {
    let distance = next - sigma
    return try Tensor(shape: latents.shape, floats: zip(latents.floats(), velocity).map { $0 + distance * $1 })
  }

  /// What the step takes the latents without noise to be, x − σ·v, in colours.
  private func preview(
    _ step: Int, _ latents: Tensor, _ velocity: [Float], _ sigma: Float, _ projection: LatentProjection?
  ) throws -> RGBImage? {
    guard let projection, let interval = plan.previewInterval, (step + 1).isMultiple(of: interval) else { return nil }
    return projection.image(try Self.euler(latents, velocity, from: sigma, to: 0))
  }

  private func encodedSource(_ recorder: RunRecorder) async throws -> LatentSource? {
    guard let source = plan.source else { return nil }
    return try await encoded(source.image.normalized(), mask: source.mask, recorder)
  }

  /// Pixels in −1…1, float32 [1, 3, H, W] ─► model space.
  private func encoded(_ picture: Tensor, mask: RGBImage?, _ recorder: RunRecorder) async throws -> LatentSource {
    let outputs = try await models.run(.vaeEncoder, [BundleNames.image: picture], plan: plan, recorder: recorder)
    let moments = try outputs.float32(BundleNames.moments, .vaeEncoder, bundle)
    return try LatentSource(moments: moments, latent: bundle.latent, mask: mask)
  }

  private func fittedProjection(_ recorder: RunRecorder) async throws -> LatentProjection? {
    guard plan.previewInterval != nil else { return nil }
    return try await previews.projection {
      var fit = ProjectionFit(bundle.latent)
      for latents in try await probes(recorder) {
        fit.add(latents: latents, decoded: try checked(try await decode(latents, recorder)))
      }
      return fit.solved()
    }
  }

  /// Latents of pictures, or noise where the bundle has no encoder.
  private func probes(_ recorder: RunRecorder) async throws -> [Tensor] {
    guard bundle.components[PipelineComponent.vaeEncoder.rawValue] != nil else {
      return try PreviewProbes.latents(bundle.latent)
    }
    var latents: [Tensor] = []
    for number in 0..<PreviewProbes.count(bundle.latent) {
      let picture = try PreviewProbes.picture(number, bundle.latent)
      let values = try await encoded(picture, mask: nil, recorder).latents
      latents.append(try Tensor(shape: bundle.latent.shape, floats: values))
    }
    return latents
  }

  /// Model space ─► VAE space (x / scale + shift) ─► pixels in −1…1, float32 [1, 3, H, W].
  private func decode(_ latents: Tensor, _ recorder: RunRecorder) async throws -> Tensor {
    let (scale, shift) = (Float(bundle.latent.scale), Float(bundle.latent.shift))
    let scaled = try Tensor(shape: latents.shape, floats: latents.floats().map { $0 / scale + shift })
    let outputs = try await models.run(.vaeDecoder, [BundleNames.latent: scaled], plan: plan, recorder: recorder)
    return try outputs.float32(BundleNames.image, .vaeDecoder, bundle)
  }

  private func checked(_ decoded: Tensor) throws -> Tensor {
    let (latent, size) = (bundle.latent, bundle.size)
    let expected = [1, 3, size.height, size.width]
    guard decoded.shape == expected, size.height == latent.height * latent.downscale,
      size.width == latent.width * latent.downscale
    else { throw PipelineError.shapeMismatch(what: "the decoded picture", expected: expected, actual: decoded.shape) }
    return decoded
  }

  private func finished(
    _ settings: GenerationSettings, _ noise: Tensor, _ latents: Tensor, _ decoded: Tensor, _ recorder: RunRecorder
  ) throws -> GenerationResult {
    let size = bundle.size
    guard let image = RGBImage(decoded: decoded), image.width == size.width, image.height == size.height else {
      throw PipelineError.shapeMismatch(
        what: "the decoded picture", expected: [1, 3, size.height, size.width], actual: decoded.shape)
    }
    let stages = recorder.stages
    var settings = settings
    settings.backends = stages.mapValues(\.backends)
    return GenerationResult(
      image: image, initialLatents: noise, latents: latents, decoded: decoded, settings: settings, stages: stages,
      timings: recorder.timings, statistics: recorder.statistics, warnings: recorder.warnings)
  }
}

/// A pipeline's projection for previews: the bundle's, or one that is fitted on first use; kept.
actor PreviewStore {
  private let bundle: ModelBundle
  private var known: LatentProjection?

  init(_ bundle: ModelBundle) { self.bundle = bundle }

  func projection(fit: @Sendable () async throws -> LatentProjection) async throws -> LatentProjection {
    if let known { return known }
    let made: LatentProjection
    if let row = bundle.descriptor.preview {
      made = try LatentProjection(
        bundle.folder.appendingPathComponent(row.path), channels: bundle.descriptor.latent.channels)
    } else {
      made = try await fit()
    }
    known = made
    return made
  }
}
