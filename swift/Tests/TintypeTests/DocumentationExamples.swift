import Foundation
import Tintype

// The Swift code of README.md and docs/embedding.md, to the letter and in the files' order: what stands between
// `// <file>` and `// end`. `DocumentationTests` compares it with the files, so that what they show compiles.

private func readme() async throws {
  // README.md
  let pipeline = try TextToImagePipeline(bundleAt: URL(fileURLWithPath: "sd3.bundle"))
  var request = GenerationRequest("a lighthouse at dawn", seed: 7, backend: .all(.mlx))
  let result = try await pipeline.generate(request)
  try result.write(to: URL(fileURLWithPath: "lighthouse.png"))

  request.source = ImageSource(result.image, strength: 0.7)  // image-to-image; a mask makes it inpainting
  for try await event in try pipeline.events(request, count: 2) {
    if case .step(let step) = event { print(step.number, step.steps) }
  }
  // end
}

private func engine(package: URL, values: [Float]) throws {
  // docs/embedding.md
  let model = try EngineModel(path: package.path)
  print(model.modelDescription.inputs)
  let outputs = try model.predict(["x": Tensor(shape: [2, 3], floats: values)])
  // end
  print(outputs)
}

private func models(folder: URL, denoiser: URL, decoder: URL, inputs: [String: Tensor]) async throws {
  // docs/embedding.md
  let configuration = PipelineConfiguration(
    units: .all(.cpuAndNeuralEngine), memoryBudget: 6_000_000_000, reduceMemory: true)
  let pipeline = try TextToImagePipeline(bundleAt: folder, configuration: configuration)
  try await pipeline.prewarm { print($0.component, $0.index, $0.count, $0.isCompiling) }
  // end

  // docs/embedding.md
  let models = ResidentModels(
    backend: BackendChoice.auto.makeBackend(), units: .cpuAndNeuralEngine, memoryBudget: 4 << 30)
  try await models.prewarm([denoiser, decoder])  // compile and load ahead, one at a time
  let outputs = try await models.model(at: denoiser).predict(inputs)
  await models.unload(denoiser)
  // end
  print(outputs)

  // docs/embedding.md
  let report = try await CoreMLBackend().computePlan(of: denoiser, units: .cpuAndNeuralEngine)
  print(report.devices)  // ["neural_engine": …, "cpu": …]
  print(report.elsewhere)  // operations off the main device, with the devices that could take them
  // end
}

// docs/embedding.md
struct TracingBackend: Backend {
  let inner: any Backend
  init(around inner: any Backend) { self.inner = inner }
  var kind: BackendKind { inner.kind }
  func checkAvailability() throws { try inner.checkAvailability() }
  func load(_ package: URL, units: ComputeUnits) throws -> any LoadedModel { try inner.load(package, units: units) }
  func load(chunks: [URL], units: ComputeUnits, passing test: SelfTest?) throws -> any LoadedModel {
    try inner.load(chunks: chunks, units: units, passing: test)
  }
}
// end

private func ownBackends(cache: URL) {
  // docs/embedding.md
  let traced = PipelineConfiguration(
    cacheFolder: cache,
    makeBackend: { choice, settings in TracingBackend(around: choice.makeBackend(settings: settings)) })
  // end
  print(traced)
}

private final class Button { var onPress: () -> Void = {} }

private func errors(_ pipeline: TextToImagePipeline, _ request: GenerationRequest, _ stopButton: Button) async {
  var picture: RGBImage?
  func alert(_ problem: String, _ remedy: String?) { print(problem, remedy ?? "", picture ?? "") }
  // docs/embedding.md
  let task = Task { try await pipeline.generate(request) }
  stopButton.onPress = { task.cancel() }
  do {
    picture = try await task.value.image
  } catch is CancellationError {
    picture = nil
  } catch let error as BackendError where error.kind == .outOfMemory {
    await pipeline.unload()
  } catch {
    alert(error.localizedDescription, (error as? any LocalizedError)?.recoverySuggestion)
  }
  // end

  // docs/embedding.md
  let patient = PipelineConfiguration(timeBox: .seconds(900))  // nil: as long as it takes
  // end
  print(patient)
}

private func pictures(file: URL, request: GenerationRequest) throws {
  var request = request
  // docs/embedding.md
  let photo = try RGBImage(contentsOf: file)
  request.source = ImageSource(photo, resizing: .fill, strength: 0.7)  // or .stretch; a mask has the picture's size
  // end
  print(request)
}
