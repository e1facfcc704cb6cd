import Foundation
import PictureModel
import Testing

@testable import Tintype

@Suite @MainActor struct PictureModelTests {
  private struct Broken: LocalizedError {
    let errorDescription: String? = "the model is broken"
  }

  nonisolated private static func step(_ number: Int, of steps: Int, preview: RGBImage? = nil) throws -> GenerationEvent
  {
    .step(
      GenerationEvent.Step(
        imageIndex: 0, number: number, steps: steps, sigma: 1, timestep: 1000,
        latents: try Tensor.zeros(shape: [1], elementType: .float32), preview: preview))
  }

  nonisolated private static func image(_ level: UInt8) throws -> RGBImage {
    try #require(RGBImage(width: 1, height: 1, bytes: [level, level, level]))
  }

  nonisolated private static func done(_ image: RGBImage) throws -> GenerationEvent {
    let nothing = try Tensor.zeros(shape: [1], elementType: .float32)
    let settings = GenerationSettings(
      prompt: "", negativePrompt: "", steps: 2, guidanceScale: 1, seed: 5, generator: .numpy, width: 1, height: 1,
      useT5: false, model: "", precision: "float32", strength: nil)
    return .done(
      GenerationResult(
        image: image, initialLatents: nothing, latents: nothing, decoded: nothing, settings: settings, stages: [:],
        timings: GenerationTimings(), statistics: [:], warnings: []))
  }

  @Test func aPictureTakesShape() async throws {
    let (events, feed) = AsyncThrowingStream<GenerationEvent, any Error>.makeStream()
    let requests = Locked<[GenerationRequest]>([])
    let model = PictureModel { request in
      requests.withLock { $0.append(request) }
      return events
    }
    #expect(model.phase == .idle && !model.isDrawing)
    model.prompt = "a house"
    model.negativePrompt = "rain"
    model.draw(seed: 5)
    #expect(model.isDrawing)
    feed.yield(.compiling(.denoiser))
    while model.phase != .preparing("denoiser") { await Task.yield() }
    #expect(model.isDrawing)
    feed.yield(.warning("coreml is slow"))
    feed.yield(try Self.step(1, of: 2, preview: Self.image(7)))
    while model.picture == nil { await Task.yield() }
    #expect(model.phase == .drawing(step: 1, of: 2))
    #expect(model.picture == (try Self.image(7)))
    feed.yield(try Self.step(2, of: 2))
    feed.yield(try Self.done(Self.image(9)))
    feed.finish()
    await model.finish()
    #expect(model.phase == .done && model.seed == 5 && model.warnings == ["coreml is slow"])
    #expect(model.picture == (try Self.image(9)))
    let request = try #require(requests.withLock { $0.first })
    #expect(request.prompt == "a house" && request.negativePrompt == "rain" && request.seed == 5)
  }

  @Test func errorsAreShown() async throws {
    let refused = PictureModel { _ in throw Broken() }
    refused.draw()
    await refused.finish()
    #expect(refused.phase == .failed("the model is broken"))
    let broken = PictureModel { _ in
      AsyncThrowingStream {
        $0.yield(with: Result { try Self.step(1, of: 2) })
        $0.finish(throwing: Broken())
      }
    }
    broken.draw()
    await broken.finish()
    #expect(broken.phase == .failed("the model is broken"))
  }

  @Test func whatIsGivenUpSaysNothingMore() async throws {
    let (first, feed) = AsyncThrowingStream<GenerationEvent, any Error>.makeStream()
    let model = PictureModel { _ in first }
    model.draw()
    feed.yield(try Self.step(1, of: 2))
    while model.phase != .drawing(step: 1, of: 2) { await Task.yield() }
    model.cancel()
    #expect(model.phase == .idle)
    feed.yield(try Self.done(Self.image(1)))
    for _ in 0..<20 { await Task.yield() }
    #expect(model.phase == .idle && model.picture == nil)
    model.cancel()
    #expect(model.phase == .idle)
  }
}
