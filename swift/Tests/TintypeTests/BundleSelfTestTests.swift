import Foundation
import TestSupport
import Testing

@testable import Tintype

/// A real bundle that carries a recorded prediction of its VAE decoder.
@Suite struct BundleSelfTestTests {
  private let folder: TemporaryFolder
  private let bundle: URL

  init() throws {
    folder = try TemporaryFolder()
    bundle = folder.url.appendingPathComponent("bundle")
    try FileManager.default.copyItem(at: TestBundles.url("sd3-medium-tiny-float32"), to: bundle)
  }

  /// Writes what the decoder gives for a latent of ones, `error` added, as the bundle's self-test.
  private func record(error: Float) throws {
    let plain = try ModelBundle(at: bundle)
    let shape = plain.descriptor.latent.shape
    let latent = try Tensor(shape: shape, floats: [Float](repeating: 1, count: shape.reduce(1, *)))
    let model = try MLXBackend().load(plain.packages(.vaeDecoder)[0], units: .all)
    let image = try #require(try model.predict(["latent": latent])["image"])
    let expected = try Tensor(shape: image.shape, floats: image.floats().map { $0 + error })
    try FileManager.default.createDirectory(
      at: bundle.appendingPathComponent("self_test"), withIntermediateDirectories: true)
    try Safetensors.encode(["input.latent": latent, "expected.image": expected])
      .write(to: bundle.appendingPathComponent("self_test/vae_decoder.safetensors"))
    let file = bundle.appendingPathComponent("bundle.json")
    var json = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any] ?? [:]
    var components = json["components"] as? [String: [String: Any]] ?? [:]
    components["vae_decoder"]?["self_test"] = [
      "path": "self_test/vae_decoder.safetensors", "tolerance": 0.05, "function": NSNull(),
    ]
    json["components"] = components
    try JSONSerialization.data(withJSONObject: json).write(to: file)
  }

  private func draw(_ backend: BackendChoice) async throws -> GenerationResult {
    let configuration = PipelineConfiguration(cacheFolder: folder.url.appendingPathComponent("cache"))
    let pipeline = try TextToImagePipeline(bundleAt: bundle, configuration: configuration)
    return try await pipeline.generate(
      GenerationRequest("a", steps: 1, guidanceScale: 1, seed: 1, backend: .all(.mlx).with(.vae, backend)))
  }

  @Test func kernelsThatAreRightPass() async throws {
    try record(error: 0)
    #expect(try await draw(.coreml).stages[.vae]?.backends == [.coreml])
  }

  @Test func aStrictCoreMLThrowsWhereTheyAreWrong() async throws {
    try record(error: 0.5)
    let error = await #expect(throws: BackendError.self) { try await draw(.coreml) }
    #expect(error?.description.hasSuffix("this system's kernels compute the model wrongly on coreml") == true)
    // Only Core ML's kernels are doubted.
    #expect(try await draw(.mlx).stages[.vae]?.backends == [.mlx])
  }

  @Test func compilingIsToldAtTheFirstUseOnly() async throws {
    let configuration = PipelineConfiguration(
      backend: .all(.coreml), units: .all(.cpuOnly), cacheFolder: folder.url.appendingPathComponent("cache"))
    func warm() async throws -> (compiling: [PipelineComponent], warmed: [WarmedComponent]) {
      let pipeline = try TextToImagePipeline(bundleAt: bundle, configuration: configuration)
      let told = Locked<[PipelineComponent]>([])
      let warmed = try await pipeline.prewarm([.vae]) { progress in
        if progress.isCompiling { told.withLock { $0.append(progress.component) } }
      }
      return (told.withLock { $0 }, warmed)
    }
    let first = try await warm()
    #expect(first.compiling == [.vaeDecoder, .vaeEncoder] && first.warmed.map(\.wasCompiled) == [true, true])
    let second = try await warm()
    #expect(second.compiling.isEmpty && second.warmed.map(\.wasCompiled) == [false, false])

    let pipeline = try TextToImagePipeline(bundleAt: bundle, configuration: configuration)
    let told = Locked<[PipelineComponent]>([])
    _ = try await pipeline.generate(GenerationRequest("a", steps: 1, guidanceScale: 1, useT5: false)) { event in
      if case .compiling(let component) = event { told.withLock { $0.append(component) } }
    }
    #expect(told.withLock { $0 } == [.textEncoder, .textEncoder2, .modulation, .denoiser])
    let onMLX = try await pipeline.prewarm([.vae], backend: .all(.mlx))
    #expect(onMLX.map(\.wasCompiled) == [nil, nil])
  }

  @Test func damagedFilesAreNamed() async throws {
    try record(error: 0)
    let file = bundle.appendingPathComponent("self_test/vae_decoder.safetensors")
    let whole = [UInt8](try Data(contentsOf: file))
    for damaged in [Array(whole.prefix(4)), Array(whole.dropLast()), [UInt8](repeating: 255, count: 64)] {
      try Data(damaged).write(to: file)
      let error = await #expect(throws: BundleError.self) { try await draw(.coreml) }
      #expect(error?.description.contains("cannot be read as safetensors") == true)
    }
    // A bit of the header changed at a time: an error or other tensors, never a trap.
    for position in 0..<min(whole.count, 200) {
      var bytes = whole
      bytes[position] ^= 1 << UInt8(position % 8)
      try Data(bytes).write(to: file)
      do { _ = try Safetensors(file) } catch { #expect(error is BundleError) }
    }
  }
}

extension Safetensors {
  /// float32 tensors as a file.
  static func encode(_ tensors: [String: Tensor]) throws -> Data {
    var (header, data) = ([String: Any](), Data())
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      let start = data.count
      tensor.withUnsafeBytes { data.append(contentsOf: $0) }
      header[name] = ["dtype": "F32", "shape": tensor.shape, "data_offsets": [start, data.count]]
    }
    let json = try JSONSerialization.data(withJSONObject: header)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: json.count >> (8 * $0)) }
    return Data(length) + json + data
  }
}
