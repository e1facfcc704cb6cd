/// A checked request: the settings, the noise of its pictures and what runs each stage.
struct GenerationPlan: Sendable {
  /// The bundle's description at the size of the run.
  let bundle: BundleDescriptor
  let settings: GenerationSettings
  let noise: NoiseStream
  /// How many pictures.
  let count: Int
  let source: ImageSource?
  let previewInterval: Int?
  let backend: PerStage<BackendChoice>
  let units: PerStage<ComputeUnits>
  let collectsStatistics: Bool

  let family: ModelFamily
  /// What the caller should know before anything runs.
  let warnings: [String]

  /// Whether the negative prompt is run: at guidance 1 or less, or where guidance is an input, it has no influence.
  var isGuided: Bool { family.hasNegativePass && settings.guidanceScale > 1 }

  /// Throws `RequestError`, naming the value and what would do.
  init(
    _ request: GenerationRequest, count: Int = 1, bundle whole: BundleDescriptor, configuration: PipelineConfiguration
  ) throws {
    let bundle = try Self.sized(whole, request.size)
    self.bundle = bundle
    let steps = request.steps ?? bundle.defaults.steps
    let most = bundle.schedule.trainTimesteps
    guard (1...most).contains(steps) else {
      throw RequestError.steps(steps, most: most, modelDefault: bundle.defaults.steps)
    }
    let guidance = request.guidanceScale ?? bundle.defaults.guidanceScale
    guard (0...Sinusoid.mostGuidance).contains(guidance) else {
      throw RequestError.guidanceScale(guidance)
    }
    family = bundle.modelFamily
    guard request.useT5 || !family.needsT5 else { throw RequestError.t5Needed(model: bundle.name, family: family.name) }
    warnings =
      family.hasNegativePass || request.negativePrompt.isEmpty
      ? [] : ["the negative prompt has no influence: models of the family \(family.name) have none"]
    guard (1...RequestError.mostPictures).contains(count) else {
      throw RequestError.count(count, most: RequestError.mostPictures)
    }
    if let interval = request.previewInterval, interval < 1 { throw RequestError.previewInterval(interval) }
    source = try request.source.map { try Self.checked($0, bundle: bundle) }
    (self.count, previewInterval) = (count, request.previewInterval)
    let seed: UInt32?
    if let given = request.initialLatents {
      guard count == 1 else { throw RequestError.latentsOfSeveral(count: count) }
      seed = nil
      noise = NoiseStream(try Self.checked(latents: given, shape: bundle.latent.shape))
    } else {
      let used = request.seed ?? UInt32.random(in: .min ... .max)
      seed = used
      noise = NoiseStream(request.generator, seed: used, shape: bundle.latent.shape)
    }
    settings = GenerationSettings(
      prompt: request.prompt, negativePrompt: request.negativePrompt, steps: steps, guidanceScale: guidance,
      seed: seed, generator: seed == nil ? nil : request.generator, width: bundle.size.width,
      height: bundle.size.height,
      useT5: request.useT5 && bundle.components[PipelineComponent.textEncoder3.rawValue] != nil, model: bundle.name,
      precision: bundle.precision.rawValue, strength: request.source?.strength)
    backend = request.backend ?? configuration.backend
    units = request.units ?? configuration.units
    collectsStatistics = request.collectsStatistics
  }

  /// The bundle's description at a size; nil: the default one. Throws `RequestError`.
  static func sized(_ bundle: BundleDescriptor, _ size: ImageSize?) throws -> BundleDescriptor {
    guard let size else { return bundle }
    // A bundle may have sizes that no conversion offers: they are among its own, so they are looked up first.
    if bundle.availableSizes.contains(size) { return try bundle.sized(size) }
    for (side, value) in [("width", size.width), ("height", size.height)] {
      guard value > 0, value.isMultiple(of: RequestError.sideMultiple) else {
        throw RequestError.sizeMultiple(side: side, value: value)
      }
    }
    return try bundle.sized(size)
  }

  private static func checked(_ source: ImageSource, bundle: BundleDescriptor) throws -> ImageSource {
    if source.resizing == nil, source.image.size != bundle.size {
      throw RequestError.imageSize(actual: source.image.size, model: bundle.name, own: bundle.size)
    }
    if let mask = source.mask, mask.size != source.image.size {
      throw RequestError.maskSize(actual: mask.size, image: source.image.size)
    }
    guard source.strength > 0, source.strength <= 1 else { throw RequestError.strength(source.strength) }
    _ = try bundle.component(.vaeEncoder)
    return try source.resized(to: bundle.size)
  }

  private static func checked(latents: Tensor, shape: [Int]) throws -> Tensor {
    guard latents.elementType.isFloatingPoint else { throw RequestError.latentsType(latents.elementType) }
    guard latents.shape == shape else { throw RequestError.latentsShape(expected: shape, actual: latents.shape) }
    // The loop works in float32, whatever was given.
    let copy = try latents.converted(to: .float32)
    let bad = copy.floats().filter { !$0.isFinite }.count
    guard bad == 0 else { throw RequestError.latentsNotFinite(count: bad) }
    return copy
  }
}
