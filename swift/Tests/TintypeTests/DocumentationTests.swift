import Foundation
import TestSupport
import Testing
import Tintype

/// The examples of README.md and of the public types, compiled and run as an app would: without `@testable`.
@Suite struct DocumentationTests {
  private static let files = ["README.md", "docs/embedding.md"]

  /// Texts between two kinds of lines, without their indentation.
  private func blocks(of path: String, from start: String, to end: String) throws -> [String] {
    var blocks: [String] = []
    var lines: [Substring]?
    let text = try String(contentsOf: Fixture.root.appendingPathComponent(path), encoding: .utf8)
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      let words = line.trimmingCharacters(in: .whitespaces)
      if let block = lines, words == end {
        let indentation = block.first { !$0.isEmpty }?.prefix { $0 == " " }.count ?? 0
        blocks.append(block.map { $0.dropFirst(indentation) }.joined(separator: "\n"))
        lines = nil
      } else if lines != nil {
        lines?.append(line)
      } else if words == start {
        lines = []
      }
    }
    return blocks
  }

  /// What the files show of the package's API.
  @Test(arguments: files) func whatIsShownCompiles(_ file: String) throws {
    let shown = try blocks(of: file, from: "```swift", to: "```").map { block in
      block.split(separator: "\n", omittingEmptySubsequences: false).drop { $0.isEmpty || $0.hasPrefix("import ") }
        .joined(separator: "\n")
    }
    // Parts of manifests are no code of an app's; tests/python/test_swift_package.py builds such an app.
    let manifests = shown.filter { $0.contains(".package(") || $0.contains("Target.Dependency") }
    #expect(manifests.count == (file == "README.md" ? 0 : 2))
    let compiled = try blocks(
      of: "swift/Tests/TintypeTests/DocumentationExamples.swift", from: "// \(file)", to: "// end")
    #expect(!compiled.isEmpty)
    #expect(shown.filter { !manifests.contains($0) } == compiled)
  }

  /// What a run gives can be made without one: for a view's preview, or to stand in for a pipeline in tests.
  @Test func resultsCanBeMadeByApps() throws {
    let latents = try Tensor.zeros(shape: [1, 16, 2, 2], elementType: .float32)
    let image = try #require(RGBImage(width: 1, height: 1, bytes: [1, 2, 3]))
    let settings = GenerationSettings(
      prompt: "a cat", steps: 4, guidanceScale: 1, seed: 7, width: 16, height: 16, model: "sd3")
    let text = TextConditioning(context: latents, pooled: latents)
    let events: [GenerationEvent] = [
      .conditioned(
        .init(
          settings: settings, schedule: FlowMatchSchedule(steps: 4, shift: .fixed(3)), initialLatents: latents,
          positive: text)),
      .step(.init(number: 1, steps: 4, sigma: 1, timestep: 1000, latents: latents, preview: image)),
      .done(
        GenerationResult(
          image: image, initialLatents: latents, latents: latents, decoded: latents, settings: settings,
          stages: [.vae: StageRun(backends: [.mlx], reason: "asked for")],
          timings: GenerationTimings(load: .seconds(1), vae: .seconds(2)))),
    ]
    guard case .done(let result)? = events.last else {
      Issue.record("no result")
      return
    }
    #expect(result.timings.total == .seconds(3) && result.stages[.vae]?.backends == [.mlx])
    let progress = WarmingProgress(component: .denoiser, index: 0, count: 1)
    let warmed = WarmedComponent(
      component: progress.component, run: StageRun(backends: [.coreml], reason: "asked for"), duration: .seconds(1))
    #expect(warmed.warnings.isEmpty)
    let run = StageRun(backends: [.coreml, .mlx], reason: "chosen")
    let json = try JSONEncoder().encode(run)
    #expect(String(decoding: json, as: UTF8.self).contains(#""backend":"coreml+mlx""#))
    #expect(try JSONDecoder().decode(StageRun.self, from: json) == run)
    // As PNG files carry them.
    let copy = try JSONDecoder().decode(GenerationSettings.self, from: JSONEncoder().encode(settings))
    #expect(copy == settings)
  }

  /// `import Tintype` names everything that a run throws.
  @Test func everyErrorCanBeCaught() async throws {
    let folder = try TemporaryFolder()
    do {
      _ = try ClipTokenizer(folder: folder.url, bosTokenID: 0, eosTokenID: 1, padTokenID: 1)
      Issue.record("an empty folder was taken")
    } catch let error as TokenizerError {
      #expect(error.recoverySuggestion == "convert the model again")
    }
  }

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
    let temporary = try TemporaryFolder()
    let file = temporary.url.appendingPathComponent("lighthouse.png")
    try result.write(to: file)
    #expect(try PNG.decode(Data(contentsOf: file)) == result.image)
  }

  @Test func stagesAndErrorsAreTheCallers() async throws {
    let pipeline = try TextToImagePipeline(
      bundleAt: TestBundles.url("sd3-medium-tiny-float32"),
      configuration: PipelineConfiguration(backend: .all(.mlx).with(.vae, .coreml), units: .all(.cpuOnly)))
    let result = try await pipeline.generate(GenerationRequest("a cat", steps: 1))
    #expect(result.stages[.vae]?.backends == [.coreml])
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
