import Foundation
import TestSupport
import Testing
import Tintype

@testable import TintypeCLI

@Suite struct BenchTests {
  @Test func aBundlesPartsAreMeasuredOnBothBackends() async throws {
    let console = try Console()
    let bundle = try CLITestBundles.url("sd3-medium-tiny-float32").path
    #expect(await console.run(["bench", bundle, "--steps", "1", "--repeat", "1", "--json"]) == 0, "\(console.error)")
    let report = try #require(JSONSerialization.jsonObject(with: Data(console.output.utf8)) as? [String: Any])
    let seconds = try #require(report["seconds"] as? [String: [String: Double]])
    #expect(Set(seconds.keys) == ["mlx", "coreml"])
    for parts in seconds.values {
      #expect(Set(parts.keys) == ["load", "text_encoder", "modulation", "step", "vae"])
      #expect(parts.values.allSatisfy { $0 > 0 })
    }
    let ratios = try #require(report["ratios"] as? [String: Double])
    let (coreML, mlx) = (try #require(seconds["coreml"]?["step"]), try #require(seconds["mlx"]?["step"]))
    #expect(abs(try #require(ratios["step"]) - coreML / mlx) < 1e-9)
    #expect(report["coreml_implementation"] as? String == CoreMLPlatform.implementation)
  }

  @Test func aPackagesPredictionsAreMeasuredAgainstTheCABI() async throws {
    let console = try Console()
    #expect(await console.run(["bench", Fixture.package("add").path, "--repeat", "40"]) == 0, "\(console.error)")
    #expect(console.output.contains("add.mlpackage: 40 predictions a route"))
    #expect(console.output.contains("c_abi") && console.output.contains("µs over the C ABI"))
  }

  @Test(
    arguments: [
      (["bench", "/nowhere"], 1, "there is nothing at /nowhere: name a bundle or an .mlpackage"),
      (["bench", "x", "--repeat", "0"], 2, "--repeat is 0, expected an integer from 1 to 1000000"),
      (["bench", "x", "--steps", "many"], 2, "--steps is 'many', expected an integer"),
      (["warm", "/nowhere"], 1, "there is no bundle at /nowhere"),
      (["warm"], 2, "BUNDLE is missing"),
      (
        ["generate", "x", "--memory-budget", "2 boxes"], 2, "--memory-budget is '2 boxes', expected bytes, such as 6GB"
      ),
      (["generate", "x", "--memory-budget", "-1GB"], 2, "--memory-budget is '-1GB', expected bytes, such as 6GB"),
    ] as [([String], Int32, String)])
  func mistakesAreNamed(_ words: [String], _ code: Int32, _ message: String) async throws {
    let console = try Console()
    #expect(await console.run(words) == code)
    #expect(console.error.contains(message), "\(console.error)")
  }

  @Test func theMedianIsTheMiddle() {
    #expect(median([3, 1, 2]) == 2 && median([4, 1, 2, 3]) == 2.5 && median([7]) == 7 && median([]).isNaN)
  }
}

@Suite struct WarmTests {
  @Test func everyComponentIsLoadedAndTold() async throws {
    let console = try Console()
    let words = ["warm", try CLITestBundles.url("demo").path, "--backend", "mlx"]
    #expect(await console.run(words + ["--json"], showsProgress: true) == 0, "\(console.error)")
    let rows = try #require(JSONSerialization.jsonObject(with: Data(console.output.utf8)) as? [[String: Any]])
    #expect(rows.first?["component"] as? String == "text_encoder")
    #expect(rows.allSatisfy { $0["backend"] as? String == "mlx" && $0["reason"] as? String == "asked for" })
    #expect(!console.error.contains("compiling"))
    #expect(await console.run(words, showsProgress: true) == 0)
    #expect(console.error.contains("loading denoiser"))
    #expect(console.output.contains("component       seconds  Core ML  backend\n"))
    #expect(console.output.contains("  -        mlx (asked for)\n"))
  }

  @Test func aSizeIsOneOfTheBundles() async throws {
    let console = try Console()
    let words = ["warm", try CLITestBundles.url("sd3-medium-tiny-parts").path, "--backend", "coreml", "--size"]
    #expect(await console.run(words + ["192x128"]) == 0, "\(console.error)")
    #expect(console.output.contains("denoiser"))
    #expect(await console.run(words + ["64x64"]) == 2)
    #expect(console.error.contains("size is 64x64, but the model"))
  }
}
