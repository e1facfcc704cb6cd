import Foundation
import Testing
import Tintype

/// The examples of README.md and of the public types, compiled and run as an app would: without `@testable`.
@Suite struct DocumentationTests {
  @Test func theReadmesExampleDraws() async throws {
    let folder = try TestBundles.url("sd3-medium-tiny-float32")
    let pipeline = try TextToImagePipeline(bundleAt: folder)
    var request = GenerationRequest("a lighthouse at dawn", steps: 2, seed: 7, backend: .all(.mlx))
    let result = try await pipeline.generate(request)

    request.source = ImageSource(result.image, strength: 0.7)  // image-to-image; a mask makes it inpainting
    request.previewInterval = 1
    var previews = 0
    for try await event in try pipeline.events(request, count: 2) {
      if case .step(let step) = event, step.preview != nil { previews += 1 }
    }
    #expect(previews == 4)
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("lighthouse-\(UUID().uuidString).png")
    defer { try? FileManager.default.removeItem(at: file) }
    try result.write(to: file)
    #expect(try PNG.decode(Data(contentsOf: file)) == result.image)
  }

  @Test func stagesAndErrorsAreTheCallers() async throws {
    let pipeline = try TextToImagePipeline(
      bundleAt: TestBundles.url("sd3-medium-tiny-float32"),
      configuration: PipelineConfiguration(backend: .all(.mlx).with(.vae, .coreml), units: .all(.cpu)))
    let result = try await pipeline.generate(GenerationRequest("a cat", steps: 1))
    #expect(result.stages[.vae]?.backend == "coreml")
    await pipeline.unload([.textEncoder])
    do {
      _ = try await pipeline.generate(GenerationRequest("a cat", steps: 0))
      Issue.record("steps 0 was taken")
    } catch let error as RequestError {
      #expect("\(error)".hasPrefix("steps is 0, expected an integer from 1 to 1000"))
    }
  }

  /// docs/embedding.md, "Models in memory".
  @Test func modelsAreWarmedAndBounded() async throws {
    let configuration = PipelineConfiguration(
      backend: .all(.mlx), memoryBudget: 6_000_000_000, reduceMemory: true)
    let pipeline = try TextToImagePipeline(
      bundleAt: TestBundles.url("sd3-medium-tiny-float32"), configuration: configuration)
    let told = Locked(0)
    try await pipeline.prewarm { progress in told.withLock { $0 = progress.count } }
    #expect(told.withLock { $0 } == 7)
    _ = try await pipeline.generate(GenerationRequest("a lighthouse at dawn", steps: 1))
    #expect(await pipeline.loadedComponents.isEmpty)
  }
}
