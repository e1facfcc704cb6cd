import Testing

@testable import Tintype

/// A converted bundle for two sizes whose denoiser is in chunks, against the whole one of the same checkpoint.
@Suite struct PartsTests {
  private func draw(_ bundle: String, _ backend: BackendChoice, size: ImageSize? = nil) async throws -> GenerationResult
  {
    let request = GenerationRequest("a red circle", steps: 2, seed: 3, size: size, backend: .all(backend))
    return try await TestBundles.pipeline(bundle).generate(request)
  }

  @Test(arguments: [BackendChoice.mlx, .coreml])
  func chunksDrawWhatTheWholeModelDraws(_ backend: BackendChoice) async throws {
    let parts = try ModelBundle(at: TestBundles.url("sd3-medium-tiny-parts"))
    #expect(try parts.packages(.denoiser).count > 1)
    let (whole, inParts) = (
      try await draw("sd3-medium-tiny-float32", backend), try await draw("sd3-medium-tiny-parts", backend)
    )
    #expect(inParts.latents.floats() == whole.latents.floats())
    #expect(inParts.image == whole.image)
  }

  @Test func theOtherSizeIsDrawnAlikeOnBothBackends() async throws {
    let wide = ImageSize(width: 192, height: 128)
    let mlx = try await draw("sd3-medium-tiny-parts", .mlx, size: wide)
    #expect(mlx.image.width == 192 && mlx.image.height == 128)
    #expect(mlx.latents.shape == [1, 16, 16, 24])
    let coreML = try await draw("sd3-medium-tiny-parts", .coreml, size: wide)
    #expect(zip(mlx.image.bytes, coreML.image.bytes).allSatisfy { abs(Int($0) - Int($1)) <= 1 })
    await #expect(throws: RequestError.self) {
      try await draw("sd3-medium-tiny-parts", .mlx, size: ImageSize(width: 128, height: 192))
    }
  }
}
