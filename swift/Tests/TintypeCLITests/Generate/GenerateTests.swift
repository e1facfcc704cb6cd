import Foundation
import Testing
import Tintype

@testable import TintypeCLI

/// The converted bundles of `make bundles` (see TintypeTests/TestBundles.swift).
enum CLITestBundles {
  struct Missing: Error, CustomStringConvertible {
    let path: String
    var description: String { "there is no test bundle at \(path): run `make bundles`, or set TINTYPE_TEST_BUNDLES" }
  }

  static func url(_ name: String) throws -> URL {
    var root = URL(fileURLWithPath: #filePath)
    while root.path != "/", !FileManager.default.fileExists(atPath: root.appendingPathComponent("Package.swift").path) {
      root.deleteLastPathComponent()
    }
    let named = ProcessInfo.processInfo.environment["TINTYPE_TEST_BUNDLES"].map { URL(fileURLWithPath: $0) }
    let bundle = (named ?? root.appendingPathComponent("build/test-bundles")).appendingPathComponent(name)
    guard FileManager.default.fileExists(atPath: bundle.path) else { throw Missing(path: bundle.path) }
    return bundle
  }
}

@Suite struct GenerateTests {
  @Test(arguments: ["mlx", "coreml"]) func aPictureItsLatentsAndItsReportAreWritten(_ backend: String) async throws {
    let console = try Console()
    let words = [
      "generate", "a red circle", "--model", try CLITestBundles.url("sd3-medium-tiny-float32").path, "--steps", "2",
      "--guidance-scale", "1", "--seed", "5", "--backend", backend, "--size", "128x128", "--no-t5", "--json", "--stats",
      "-o", console.path("a.png"), "--latents-out", console.path("a.npy"), "--noise-out", console.path("noise.npy"),
    ]
    #expect(await console.run(words) == 0, "\(console.error)")
    let report = try #require(JSONSerialization.jsonObject(with: Data(console.output.utf8)) as? [String: Any])
    let settings = try #require(report["settings"] as? [String: Any])
    #expect(settings["seed"] as? Int == 5)
    #expect(settings["use_t5"] as? Bool == false)
    let backends = try #require(settings["backends"] as? [String: String])
    #expect(backends == ["text_encoder": backend, "denoiser": backend, "vae": backend])
    let timings = try #require(report["timings"] as? [String: Double])
    #expect(try #require(timings["total"]) > 0)
    let statistics = try #require(report["statistics"] as? [String: [String: Any]])
    #expect(Set(statistics.keys) == ["text_encoder", "denoiser", "vae"])
    // Two steps, each with its modulation and without guidance.
    #expect(statistics["denoiser"]?["predictions"] as? Int == 4)
    #expect(statistics.values.allSatisfy { $0["seconds"] as? Double ?? 0 > 0 })
    let ops = try #require(statistics["denoiser"]?["ops"] as? [String: [String: Any]])
    #expect(ops.isEmpty == (backend == "coreml"))
    for stage in statistics.values {
      #expect(
        Set(stage.keys)
          == ["backends", "predictions", "seconds", "ops", "peak_bytes", "weight_bytes", "untold"])
      #expect(stage["backends"] as? [String] == [backend])
      #expect(stage["untold"] as? [String] == (backend == "coreml" ? [backend] : []))
    }
    // The modulation's and the denoiser's weights, however often they ran.
    let rows = try ModelBundle(at: CLITestBundles.url("sd3-medium-tiny-float32")).descriptor.components
    let weights = ["modulation", "denoiser"].compactMap { rows[$0]?.weightBytes }.reduce(0, +)
    #expect(statistics["denoiser"]?["weight_bytes"] as? Int == (backend == "coreml" ? nil : weights))
    #expect(report["output"] as? String == console.path("a.png"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: console.path("a.png"))).starts(with: [0x89, 0x50, 0x4E, 0x47]))
    let latents = try Data(contentsOf: URL(fileURLWithPath: console.path("a.npy")))
    let values = 16 * 16 * 16
    #expect(latents.count == 128 + 4 * values)
    let noise = try Data(contentsOf: URL(fileURLWithPath: console.path("noise.npy")))
    var random = NumPyRandom(seed: 5)
    let expected = try Tensor(shape: [1, 16, 16, 16], floats: random.normals(values).map { Float($0) })
    #expect(noise == NPY.encode(expected))
  }

  @Test func peopleReadWhatRanAndWithWhichSeed() async throws {
    let console = try Console()
    let words = [
      "generate", "a", "--model", try CLITestBundles.url("sd3-medium-tiny-float32").path, "--steps", "1",
      "--guidance-scale", "0", "--seed", "6", "--backend", "mlx", "-o", console.path("b.png"),
    ]
    #expect(await console.run(words, showsProgress: true) == 0, "\(console.error)")
    let lines = console.output.split(separator: "\n")
    #expect(lines.first == "text_encoder, denoiser, vae on mlx (asked for)")
    #expect(lines.dropFirst().first == "\(console.path("b.png")): 128x128, 1 step, guidance 0, seed 6")
    let parts = try #require(lines.last).split(separator: " ").filter { Double($0.filter { $0 != "," }) == nil }
    #expect(parts.joined(separator: " ") == "seconds: load text encoder modulation denoiser vae total")
    let bar = "decoding  [" + String(repeating: "#", count: 24) + "]  1/1"
    #expect(console.error.contains(bar))
    #expect(console.error.hasSuffix("\r\u{1B}[K"))
  }

  @Test func aPictureIsDrawnAgainFromItsSettings() async throws {
    let console = try Console()
    let model = try CLITestBundles.url("sd3-medium-tiny-float32").path
    let words = ["--model", model, "--backend", "mlx", "--quiet"]
    let first = ["generate", "a röd circle", "--seed", "9", "--steps", "2", "--generator", "philox", "--no-t5"]
    #expect(await console.run(first + words + ["-o", console.path("a.png")]) == 0, "\(console.error)")
    let again = ["generate", "--from", console.path("a.png")]
    #expect(await console.run(again + words + ["-o", console.path("b.png")]) == 0, "\(console.error)")
    func bytes(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: console.path(name))) }
    #expect(try bytes("a.png") == bytes("b.png"))
    #expect(await console.run(again + words + ["--seed", "10", "-o", console.path("c.png")]) == 0)
    let settings = try GenerationSettings(png: bytes("c.png"))
    #expect(settings.seed == 10 && settings.prompt == "a röd circle" && !settings.useT5)
    #expect(try PNG.decode(bytes("c.png")) != PNG.decode(bytes("a.png")))

    try PNG.encode(PNG.decode(bytes("a.png"))).write(to: URL(fileURLWithPath: console.path("bare.png")))
    #expect(await console.run(["generate", "--from", console.path("bare.png")]) == 2)
    #expect(console.error.contains("but it holds no settings of Tintype's"))
    #expect(await console.run(["generate", "--from", console.path("absent.png")]) == 2)
    #expect(await console.run(["generate", "--model", model]) == 2)
    #expect(console.error.contains("PROMPT is missing"))
  }

  @Test func quietPrintsWarningsOnly() async throws {
    let console = try Console()
    let prompt = Array(repeating: "word", count: 100).joined(separator: " ")
    let words = [
      "generate", prompt, "--model", try CLITestBundles.url("sd3-medium-tiny-float32").path, "--steps", "1",
      "--guidance-scale", "1", "--backend", "mlx", "--no-t5", "--quiet", "-o", console.path("c.png"),
    ]
    #expect(await console.run(words, showsProgress: true) == 0)
    #expect(console.output.isEmpty)
    #expect(console.error.hasPrefix("tintype: warning: the prompt is longer than the 77 tokens that CLIP reads; "))
    #expect(console.error.split(separator: "\n").count == 1)
  }

  @Test func severalPicturesFromAnImageWithPreviews() async throws {
    let console = try Console()
    let model = try CLITestBundles.url("sd3-medium-tiny-float32").path
    let common = [
      "generate", "a", "--model", model, "--steps", "2", "--guidance-scale", "1", "--backend", "mlx", "--no-t5",
    ]
    #expect(await console.run(common + ["--seed", "3", "-o", console.path("source.png")]) == 0, "\(console.error)")
    let next = try Console()
    try FileManager.default.createDirectory(atPath: next.path("previews"), withIntermediateDirectories: true)
    let words = [
      "--image", console.path("source.png"), "--mask", console.path("source.png"), "--strength", "1", "--count", "2",
      "--generator", "torch", "--preview-folder", next.path("previews"), "--json", "-o", next.path("p.png"),
    ]
    #expect(await next.run(common + words) == 0, "\(next.error)")
    let files = try FileManager.default.contentsOfDirectory(atPath: next.folder.path).sorted()
    #expect(files == ["p-1.png", "p-2.png", "previews"])
    let previews = try FileManager.default.contentsOfDirectory(atPath: next.path("previews")).sorted()
    #expect(previews == ["1-step-1.png", "1-step-2.png", "2-step-1.png", "2-step-2.png"])
    let reports = try #require(JSONSerialization.jsonObject(with: Data(next.output.utf8)) as? [[String: Any]])
    #expect(reports.map { $0["output"] as? String } == [next.path("p-1.png"), next.path("p-2.png")])
    let settings = reports.compactMap { $0["settings"] as? [String: Any] }
    #expect(settings.map { $0["strength"] as? Double } == [1, 1])
    #expect(settings.map { $0["image_index"] as? Int } == [nil, 1])
    #expect(settings.map { $0["generator"] as? String } == ["torch", "torch"])
  }

  @Test func picturesThatCannotBeReadAreUsageErrors() async throws {
    let help = " (see `tintype generate --help`)\n"
    let text = try Console()
    try Data("no picture".utf8).write(to: text.folder.appendingPathComponent("a.png"))
    let path = text.path("a.png")
    #expect(await text.run(["generate", "x", "--image", path]) == 2)
    let reason =
      "it is no picture of a known kind (it begins with the bytes 6e 6f 20 70 69 63 74 75): save the picture as PNG"
    #expect(text.error == "tintype: error: --image is '\(path)', but \(reason)\(help)")
    let missing = try Console()
    #expect(await missing.run(["generate", "x", "--image", "/nonexistent.png"]) == 2)
    #expect(missing.error.hasPrefix("tintype: error: --image is '/nonexistent.png', which cannot be read ("))
    let alone = try Console()
    #expect(await alone.run(["generate", "x", "--strength", "0.5"]) == 2)
    let remedy = "name the picture to begin with"
    #expect(alone.error == "tintype: error: --strength has no influence without --image: \(remedy)\(help)")
  }

  @Test(arguments: [
    (["--steps", "0"], "steps is 0, expected an integer from 1 to 1000; 28 is this model's default"),
    (["--size", "100x128"], "width is 100, expected a multiple of 16, such as 96"),
    (
      ["--seed", "-1"],
      "--seed is '-1', expected an integer from 0 to 4294967295 (see `tintype generate --help`)"
    ),
  ]) func valuesTheModelCannotUseAreUsageErrors(_ extra: [String], _ message: String) async throws {
    let console = try Console()
    let model = try CLITestBundles.url("sd3-medium-tiny-float32").path
    #expect(await console.run(["generate", "x", "--model", model, "-o", console.path("d.png")] + extra) == 2)
    #expect(console.error == "tintype: error: \(message)\n")
  }

  @Test func cancellingIsReportedAsInterrupted() async throws {
    let console = try Console()
    let words = [
      "generate", "x", "--model", try CLITestBundles.url("sd3-medium-tiny-float32").path, "--steps", "1000", "-o",
      console.path("e.png"),
    ]
    let task = Task { await console.run(words) }
    try await Task.sleep(for: .milliseconds(200))
    task.cancel()
    #expect(await task.value == 130)
    #expect(console.error == "tintype: error: interrupted\n")
    #expect(!FileManager.default.fileExists(atPath: console.path("e.png")))
  }

  @Test func inspectShowsABundleAndAPackage() async throws {
    let bundle = try CLITestBundles.url("sd3-medium-tiny-float32")
    let (text, json, package) = (try Console(), try Console(), try Console())
    #expect(await text.run(["inspect", bundle.path]) == 0, "\(text.error)")
    #expect(text.output.hasPrefix("sd3-medium-tiny: sd3, float32, 128x128, target gpu\n"))
    #expect(text.output.contains("\nvae_decoder "))
    #expect(await json.run(["inspect", bundle.appendingPathComponent("bundle.json").path, "--json"]) == 0)
    let report = try #require(JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
    #expect(report["kind"] as? String == "bundle")
    let denoiser = try #require((report["components"] as? [String: [String: Any]])?["denoiser"])
    let ops = try #require(denoiser["ops"] as? [String: Int])
    #expect(ops.values.reduce(0, +) == denoiser["op_count"] as? Int)
    #expect(try #require(ops["linear"]) > 0)
    let path = bundle.appendingPathComponent("denoiser.mlpackage").path
    #expect(await package.run(["inspect", path]) == 0)
    #expect(package.output.contains("  input  latent float32 [1, 16, 16, 16]\n"))
  }
}
