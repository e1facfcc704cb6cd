import Foundation
import Testing

@testable import Tintype

private func spec(_ name: String, _ shape: [Int], _ dtype: String = "float32") -> [String: Any] {
  ["name": name, "dtype": dtype, "shape": shape]
}

/// The fake bundle for 16x16 and 32x16 pixels, 2 latent channels.
private func sized(_ json: inout [String: Any]) {
  func component(_ name: String, _ inputs: [[String: Any]], _ outputs: [[String: Any]]) -> [String: Any] {
    ["path": "\(name).mlpackage", "inputs": inputs, "outputs": outputs]
  }
  func denoiser(_ w: Int) -> ([[String: Any]], [[String: Any]]) {
    (
      [spec("latent", [1, 2, 2, w]), spec("context", [1, 8, 5]), spec("modulation", [1, 1, 2])],
      [spec("velocity", [1, 2, 2, w])]
    )
  }
  func vae(_ w: Int) -> ([[String: Any]], [[String: Any]]) {
    ([spec("latent", [1, 2, 2, w])], [spec("image", [1, 3, 16, 8 * w])])
  }
  var components = json["components"] as? [String: Any] ?? [:]
  for (name, make) in [("denoiser", denoiser), ("vae_decoder", vae)] {
    var row = component(name, make(2).0, make(2).1)
    row["functions"] = [
      "size_16x16": ["inputs": make(2).0, "outputs": make(2).1],
      "size_32x16": ["inputs": make(4).0, "outputs": make(4).1],
    ]
    components[name] = row
  }
  json["components"] = components
  json["size"] = ["width": 16, "height": 16]
  var latent = json["latent"] as? [String: Any] ?? [:]
  (latent["height"], latent["width"]) = (2, 2)
  json["latent"] = latent
  json["sizes"] = [
    ["width": 16, "height": 16, "latent": ["height": 2, "width": 2]],
    ["width": 32, "height": 16, "latent": ["height": 2, "width": 4]],
  ]
}

/// The fake bundle with its denoiser in two parts, float16 between them.
private func chunked(_ json: inout [String: Any], between: String = "float16") {
  var components = json["components"] as? [String: Any] ?? [:]
  var row = components["denoiser"] as? [String: Any] ?? [:]
  row["path"] = nil
  row["chunks"] = [
    [
      "path": "denoiser_1.mlpackage", "inputs": [spec("latent", [1, 2, 1, 2]), spec("context", [1, 8, 5])],
      "outputs": [spec("hidden", [1, 3], "float16")],
    ],
    [
      "path": "denoiser_2.mlpackage",
      "inputs": [spec("hidden", [1, 3], between), spec("modulation", [1, 1, 2])],
      "outputs": [spec("velocity", [1, 2, 1, 2])],
    ],
  ]
  components["denoiser"] = row
  json["components"] = components
}

/// Outputs of 0.5 in the shapes of the run's size.
private func values(_ shapes: [String: [Int]], of inputs: [String: Tensor]) throws -> [String: Tensor]? {
  guard let width = inputs["latent"]?.shape.last else { return nil }
  return try shapes.mapValues { shape in
    let shape = shape.map { $0 < 0 ? width * -$0 : $0 }
    return try Tensor(shape: shape, floats: [Float](repeating: 0.5, count: shape.reduce(1, *)))
  }
}

@Suite struct BundlePartsTests {
  @Test func theLatentAndTheModelsFollowTheSize() async throws {
    let fake = try FakeBundle(change: sized)
    let backend = fake.backend { component, inputs in
      switch component {
      case .denoiser: try values(["velocity": [1, 2, 2, -1]], of: inputs)
      case .vaeDecoder: try values(["image": [1, 3, 16, -8]], of: inputs)
      default: nil
      }
    }
    let pipeline = try fake.pipeline(backend)
    let wide = ImageSize(width: 32, height: 16)
    let result = try await pipeline.generate(GenerationRequest("a", guidanceScale: 1, seed: 1, size: wide))
    #expect(result.initialLatents.shape == [1, 2, 2, 4])
    #expect(result.image.width == 32 && result.image.height == 16)
    #expect(result.settings.width == 32)
    #expect(
      Set(backend.calls(.denoiser).map(\.function) + backend.calls(.vaeDecoder).map(\.function)) == ["size_32x16"])
    #expect(backend.calls(.modulation).allSatisfy { $0.function == nil })
    // The default size is the packages' default function, and the models are those that are loaded.
    let small = try await pipeline.generate(GenerationRequest("a", guidanceScale: 1, seed: 1))
    #expect(small.image.width == 16 && backend.calls(.denoiser).last?.function == nil)
    #expect(backend.loads.filter { $0.hasPrefix("denoiser") }.count == 1)
  }

  @Test func otherSizesAreNamed() throws {
    let bundle = try FakeBundle(change: sized).bundle.descriptor
    #expect(bundle.availableSizes.map(\.description) == ["16x16", "32x16"])
    let error = try #require(throws: RequestError.self) { try bundle.sized(ImageSize(width: 64, height: 64)) }
    #expect(
      error.description == "size is 64x64, but the model fake was converted for 16x16, 32x16: leave size out, or "
        + "convert the model again for 64x64")
    #expect(try JSONDecoder().decode(BundleDescriptor.self, from: JSONEncoder().encode(bundle)) == bundle)
  }

  @Test func chunksRunAsOne() async throws {
    let fake = try FakeBundle(packages: ["denoiser_1", "denoiser_2"]) { chunked(&$0) }
    let backend = fake.backend()
    let pipeline = try fake.pipeline(backend)
    _ = try await pipeline.generate(GenerationRequest("a", steps: 2, guidanceScale: 1, seed: 1))
    let chunks = backend.calls.filter { $0.component.hasPrefix("denoiser_") }
    #expect(chunks.map(\.component) == ["denoiser_1", "denoiser_2", "denoiser_1", "denoiser_2"])
    #expect(chunks[1].inputs["hidden"] == [0.25, 0.25, 0.25])
    #expect(await pipeline.loadedComponents.contains(.denoiser))
  }

  @Test func chunksThatDoNotFitAreRefused() throws {
    let error = try #require(throws: BundleError.self) {
      try FakeBundle(packages: ["denoiser_1", "denoiser_2"]) { chunked(&$0, between: "float32") }
    }
    #expect(
      error.description.hasSuffix(
        "components.denoiser.chunks[1].inputs is 'hidden' float32 [1, 3], expected float16 [1, 3]: convert the model "
          + "again"))
    #expect(throws: BundleError.self) { try FakeBundle(packages: ["denoiser_1"]) { chunked(&$0) } }
  }

  @Test(arguments: [
    ("sizes", "[]", "sizes is empty, expected the default size and others"),
    (
      "sizes",
      #"""
      [{"width": 16, "height": 8, "latent": {"height": 1, "width": 2}},
       {"width": 24, "height": 8, "latent": {"height": 1, "width": 2}}]
      """#,
      "sizes[1] is 24x8, expected 16x8, the latent's 2x1 times latent.downscale 8"
    ),
    (
      "self_test", #"{"path": "../x", "tolerance": 0.1}"#,
      "components.denoiser.self_test.path is '../x', expected a relative path inside the bundle, without '..'"
    ),
    (
      "self_test", #"{"path": "x", "tolerance": 0}"#,
      "components.denoiser.self_test.tolerance is 0.0, expected a number above 0"
    ),
    (
      "self_test", #"{"path": "x", "tolerance": 0.1}"#,
      "components.denoiser.self_test.path is 'x', but that is missing"
    ),
  ]) func badRowsAreNamed(_ key: String, _ value: String, _ message: String) throws {
    let error = try #require(throws: BundleError.self) {
      try FakeBundle { json in
        let value = try JSONSerialization.jsonObject(with: Data(value.utf8))
        if key == "sizes" { return json[key] = value }
        var components = json["components"] as? [String: [String: Any]] ?? [:]
        components["denoiser"]?[key] = value
        json["components"] = components
      }
    }
    #expect(error.description.contains(message), "\(error)")
  }
}

@Suite struct MemoryTests {
  @Test func reducedMemoryUnloadsWhatIsDone() async throws {
    let fake = try FakeBundle()
    let backend = fake.backend()
    let pipeline = try fake.pipeline(backend, reduceMemory: true)
    // A stream's reader may be late, but what is gone stays gone.
    for try await _ in try pipeline.events(GenerationRequest("a", seed: 1)) {
      #expect(await pipeline.loadedComponents.isSubset(of: [.denoiser, .vaeDecoder]))
    }
    #expect(await pipeline.loadedComponents.isEmpty)
    _ = try await pipeline.generate(GenerationRequest("a", seed: 1))
    #expect(backend.loads.filter { $0.hasPrefix("denoiser") }.count == 2)
  }

  /// Weights of ten bytes for each component.
  private func writeWeights(_ fake: FakeBundle) throws {
    for name in ["text_encoder", "text_encoder_2", "modulation", "denoiser", "vae_decoder"] {
      let weights = fake.folder.appendingPathComponent("\(name).mlpackage/Data/com.apple.CoreML/weights")
      try FileManager.default.createDirectory(at: weights, withIntermediateDirectories: true)
      try Data(count: 10).write(to: weights.appendingPathComponent("weight.bin"))
    }
  }

  /// A size more is the denoiser's and the decoder's weights once more, on a backend that holds functions apart.
  @Test func aBudgetCountsEveryOpenSize() async throws {
    let wide = ImageSize(width: 32, height: 16)
    for (budget, apart, kept) in [
      (30, true, [.denoiser]), (30, false, [.modulation, .denoiser, .vaeDecoder]), (19, true, []),
    ] as [(Int, Bool, Set<PipelineComponent>)] {
      let fake = try FakeBundle(change: sized)
      try writeWeights(fake)
      let backend = fake.backend(holdsFunctionsApart: apart)
      let pipeline = try fake.pipeline(backend, memoryBudget: budget)
      _ = try await pipeline.prewarm([.denoiser, .vae])
      let loads = backend.loads.count
      _ = try await pipeline.prewarm([.vae], size: wide)
      #expect(await pipeline.loadedComponents == kept.union([.vaeDecoder]), "budget \(budget), apart \(apart)")
      // Where both sizes are too many the model is loaded anew, with the wanted one alone.
      #expect(backend.loads.count == loads + (budget == 19 ? 1 : 0))
    }
  }

  @Test func aBudgetKeepsTheLastUsed() async throws {
    let fake = try FakeBundle()
    try writeWeights(fake)
    let backend = fake.backend()
    let pipeline = try fake.pipeline(backend, memoryBudget: 20)
    _ = try await pipeline.generate(GenerationRequest("a", guidanceScale: 1, seed: 1))
    #expect(await pipeline.loadedComponents == [.denoiser, .vaeDecoder])
  }

  @Test func warmingOpensASize() async throws {
    let fake = try FakeBundle(change: sized)
    let backend = fake.backend()
    let pipeline = try fake.pipeline(backend)
    let wide = ImageSize(width: 32, height: 16)
    _ = try await pipeline.prewarm([.denoiser, .vae], size: wide)
    #expect(backend.opened == ["modulation default", "denoiser size_32x16", "vae_decoder size_32x16"])
    await #expect(throws: RequestError.self) { try await pipeline.prewarm(size: ImageSize(width: 64, height: 16)) }
  }

  @Test func warmingLoadsInOrderAndTells() async throws {
    let fake = try FakeBundle()
    let backend = fake.backend()
    let pipeline = try fake.pipeline(backend)
    let told = Locked<[String]>([])
    let warmed = try await pipeline.prewarm(backend: .all(.mlx)) { progress in
      told.withLock { $0.append("\(progress.component.rawValue) \(progress.index + 1)/\(progress.count)") }
    }
    #expect(told.withLock { $0 }.first == "text_encoder 1/5" && told.withLock(\.count) == 5)
    #expect(warmed.map(\.component) == fake.bundle.descriptor.knownComponents)
    #expect(warmed.allSatisfy { $0.run == StageRun(backends: [.mlx], reason: "asked for") && $0.duration >= .zero })
    _ = try await pipeline.generate(GenerationRequest("a", seed: 1, backend: .all(.mlx)))
    #expect(backend.loads.count == 5)
    _ = try await pipeline.prewarm([.vae])
    #expect(backend.loads.count == 6)  // Another choice of backend is another model.
  }
}
