import Foundation

/// Draws pictures with a bundle.
///
///     let pipeline = try TextToImagePipeline(bundleAt: folder)
///     let result = try await pipeline.generate(GenerationRequest("a red circle", seed: 7))
///     try result.write(to: URL(fileURLWithPath: "circle.png"))
///
/// tokens ─► text encoders ─► modulation of every step ─► denoiser, Euler steps ─► VAE ─► picture
///
/// A request's `source` is a picture to begin with: image-to-image, and with a mask inpainting.
///
/// Models are loaded on first use and kept until `unload`. Cancelling the task ends a run before its next prediction, or
/// while a model is loaded.
public struct TextToImagePipeline: Sendable {
  /// What the pipeline draws with.
  public let bundle: ModelBundle
  private let configuration: PipelineConfiguration
  private let models: ComponentModels
  private let text: TextEncoders
  private let previews: PreviewStore

  /// Reads and checks the bundle's description; loads no model yet. Throws `BundleError`.
  public init(bundleAt folder: URL, configuration: PipelineConfiguration = PipelineConfiguration()) throws {
    try self.init(bundle: ModelBundle(at: folder), configuration: configuration)
  }

  /// A pipeline for a bundle that was read before. Loads no model yet. Throws `BundleError`.
  public init(bundle: ModelBundle, configuration: PipelineConfiguration = PipelineConfiguration()) throws {
    for component in bundle.descriptor.modelFamily.required { _ = try bundle.descriptor.component(component) }
    self.bundle = bundle
    self.configuration = configuration
    models = ComponentModels(bundle: bundle, configuration: configuration)
    text = TextEncoders(bundle: bundle, models: models)
    previews = PreviewStore(bundle)
  }

  /// Draws one picture. `onEvent` is told of warnings, compiling, the conditioning, every step and the result, as they
  /// come.
  ///
  /// When its task is cancelled, a run waits for the prediction that it is in, not for a model that is being loaded:
  /// that one is kept for the next run. Throws `RequestError`, `BackendError`,
  /// `PipelineError`, `BundleError`, `TokenizerError` or `CancellationError`.
  public func generate(
    _ request: GenerationRequest, onEvent: @escaping @Sendable (GenerationEvent) -> Void = { _ in }
  ) async throws -> GenerationResult {
    // A plan for one picture gives one.
    try await results(of: try plan(request, count: 1), onEvent)[0]
  }

  /// Draws several pictures, one after the other. The text is encoded once; the seed's noise continues from picture to
  /// picture, so that the first is the one that `generate(_:onEvent:)` draws.
  public func generate(
    _ request: GenerationRequest, count: Int, onEvent: @escaping @Sendable (GenerationEvent) -> Void = { _ in }
  ) async throws -> [GenerationResult] {
    try await results(of: try plan(request, count: count), onEvent)
  }

  /// `generate` as a stream: `.conditioned`, every `.step`, `.done`, for each picture, and warnings and compiling
  /// when they come. The request is checked at once; a consumer that stops iterating cancels the run. When the consumer's own task is cancelled, the run is too, and the
  /// loop ends without an error, as `AsyncThrowingStream`'s do: `try Task.checkCancellation()` behind it tells.
  public func events(
    _ request: GenerationRequest, count: Int = 1
  ) throws -> AsyncThrowingStream<GenerationEvent, any Error> {
    let plan = try plan(request, count: count)
    return AsyncThrowingStream { continuation in
      let task = Task {
        do {
          try await run(plan) { continuation.yield($0) }
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
  public func unload(_ stages: Set<PipelineStage> = Set(PipelineStage.allCases)) async {
    await models.unload(Set(PipelineComponent.allCases.filter { stages.contains($0.stage) }))
  }

  /// Compiles and loads models ahead of their first use, and runs the self-tests that the bundle has: what may take
  /// minutes on Core ML at first, and nearly nothing later. `onProgress` is told before each component, and once more
  /// where Core ML begins to compile it.
  ///
  /// - Parameters:
  ///   - size: of the pictures to come, one that the bundle was converted for; nil: the default one. Core ML loads each
  ///     size by itself.
  ///   - backend, units: nil: what the configuration says.
  ///   - onWarning: told that `auto` moves on, and why, when it does.
  /// - Returns: what took how long and which backend took it, in the order of a run. Under `reduceMemory`, nothing
  ///   stays loaded, but the system's caches are warm.
  @discardableResult
  public func prewarm(
    _ stages: Set<PipelineStage> = Set(PipelineStage.allCases), size: ImageSize? = nil,
    backend: PerStage<BackendChoice>? = nil, units: PerStage<ComputeUnits>? = nil,
    onProgress: @escaping @Sendable (WarmingProgress) -> Void = { _ in },
    onWarning: @escaping @Sendable (String) -> Void = { _ in }
  ) async throws -> [WarmedComponent] {
    let sized = try GenerationPlan.sized(bundle.descriptor, size)
    let components = bundle.descriptor.knownComponents.filter { stages.contains($0.stage) }
    var warmed: [WarmedComponent] = []
    for (index, component) in components.enumerated() {
      let progress = WarmingProgress(component: component, index: index, count: components.count)
      onProgress(progress)
      let recorder = RunRecorder { event in
        switch event {
        case .compiling: onProgress(progress.compiling)
        case .warning(let text): onWarning(text)
        default: break
        }
      }
      try await models.warm(
        component, choice: (backend ?? configuration.backend)[component.stage],
        units: (units ?? configuration.units)[component.stage], function: sized.function(of: component),
        recorder: recorder)
      guard let run = recorder.stages[component.stage] else { continue }
      warmed.append(
        WarmedComponent(
          component: component, run: run, duration: recorder.timings.load,
          wasCompiled: run.backends.contains(.coreml) ? recorder.compiled.contains(component) : nil,
          warnings: recorder.warnings))
    }
    return warmed
  }

  /// The components whose models are in memory.
  public var loadedComponents: Set<PipelineComponent> { get async { await models.loaded } }

  /// Throws what a run of the request would throw before anything is loaded.
  package func check(_ request: GenerationRequest, count: Int) throws { _ = try plan(request, count: count) }

  private func plan(_ request: GenerationRequest, count: Int) throws -> GenerationPlan {
    try GenerationPlan(request, count: count, bundle: bundle.descriptor, configuration: configuration)
  }

  private func results(
    of plan: GenerationPlan, _ tell: @escaping @Sendable (GenerationEvent) -> Void
  ) async throws -> [GenerationResult] {
    let results = Locked<[GenerationResult]>([])
    try await run(plan) { event in
      if case .done(let result) = event { results.withLock { $0.append(result) } }
      tell(event)
    }
    return results.withLock { $0 }
  }

  private func run(
    _ plan: GenerationPlan, _ tell: @escaping @Sendable (GenerationEvent) -> Void
  ) async throws {
    try await GenerationRun(models: models, text: text, previews: previews, plan: plan).pictures(tell)
  }
}

extension GenerationResult {
  /// Writes the picture in the format of the name's suffix, as `RGBImage.write` does; a PNG holds the settings.
  public func write(to url: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let parameters = String(decoding: try encoder.encode(settings), as: UTF8.self)
    let texts = [("Software", "tintype \(tintypeVersion)"), (GenerationSettings.pngKeyword, parameters)]
    try image.write(to: url, texts: texts)
  }
}
