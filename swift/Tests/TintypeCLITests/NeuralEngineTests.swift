import Foundation
import TestSupport
import Testing
import Tintype

@testable import TintypeCLI

@Suite struct NeuralEngineTests {
  private func report(_ console: Console, _ words: [String]) async throws -> [String: Any] {
    #expect(await console.run(["inspect", "--neural-engine", "--json"] + words) == 0, "\(console.error)")
    return try #require(JSONSerialization.jsonObject(with: Data(console.output.utf8)) as? [String: Any])
  }

  @Test func aBundlesPackagesAreListedWithPythonsKeys() async throws {
    let bundle = try CLITestBundles.url("sd3-medium-tiny-parts").path
    let report = try await report(Console(), [bundle, "--units", "cpu"])
    let planned: Set = CoreMLPlatform.isApples ? ["compute_plans"] : []
    #expect(Set(report.keys) == planned.union(["forecast", "path", "packages"]))
    #expect(report["forecast"] as? Bool == true && report["path"] as? String == bundle)
    let packages = try #require(report["packages"] as? [String: [String: Any]])
    #expect(packages["modulation"] != nil && packages["denoiser 1"] != nil && packages["denoiser 2"] != nil)
    for package in packages.values {
      #expect(
        Set(package.keys) == [
          "forecast", "clean_share", "ops", "flops", "clean_flops", "segments", "parameters", "weight_bytes",
          "value_bytes", "padding_bytes", "misses", "notes", "roofline",
        ])
    }
    for plan in (report["compute_plans"] as? [String: [String: Any]] ?? [:]).values {
      #expect(Set(plan.keys) == ["implementation", "units", "function", "devices", "elsewhere"])
      #expect(plan["implementation"] as? String == CoreMLPlatform.implementation && plan["units"] as? String == "cpu")
    }
  }

  @Test func peopleReadSharesAndWhatLeaves() async throws {
    let console = try Console()
    #expect(await console.run(["inspect", Fixture.package("linear").path, "--neural-engine"]) == 0)
    let lines = console.output.split(separator: "\n").map(String.init)
    #expect(lines[0] == "Forecast by published rules (docs/neural_engine.md), not measured on a device.")
    #expect(lines[1].split(separator: " ").first == "package" && lines[1].hasSuffix("segments"))
    #expect(lines[2].hasPrefix("linear.mlpackage") && lines[2].contains("0.0000 %"))
    #expect(lines[3] == "linear.mlpackage: off the Neural Engine")
    #expect(lines[4].contains("1 × linear (dtype): float32 is not float16; at "))
    #expect(console.output.contains("Roofline, ms a prediction at published rates:"))
  }

  @Test func aShareMayBeRequired() async throws {
    let (words, console) = (["inspect", Fixture.package("linear").path, "--neural-engine"], try Console())
    #expect(await console.run(words + ["--require", "0%"]) == 0, "\(console.error)")
    if CoreMLPlatform.isApples { return }
    let json = try Console()
    #expect(await json.run(words + ["--require", "95%", "--json"]) == 1)
    let report = try #require(JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
    let required = try #require(report["required"] as? [String: Any])
    #expect(Set(required.keys) == ["share", "of", "shares", "below", "passed"])
    #expect(required["share"] as? Double == 0.95 && required["passed"] as? Bool == false)
    #expect(required["of"] as? String == "forecast" && required["below"] as? [String] == ["linear.mlpackage"])
    #expect(
      json.error
        == "tintype: error: on the Neural Engine (forecast): linear.mlpackage 0.0000 %, expected at least 95 %\n")
  }

  @Test(
    arguments: [
      (["--require", "95%"], "--require has no influence without --neural-engine: add it"),
      (["--neural-engine", "--require", "0.95"], "--require is '0.95', expected a percentage from 0% to 100%"),
      (["--neural-engine", "--require", "101%"], "--require is '101%', expected a percentage from 0% to 100%"),
      (["--neural-engine", "--require", "nan%"], "--require is 'nan%', expected a percentage from 0% to 100%"),
    ])
  func mistakesAreNamed(_ words: [String], _ message: String) async throws {
    let console = try Console()
    #expect(await console.run(["inspect", Fixture.package("add").path] + words) == 2)
    #expect(console.error.contains(message), "\(console.error)")
  }

  @Test func roundedCostsReachTheirSum() {
    let shares = ["a": 0.999_999_9, "b": 0.95, "c": 0.949]
    func below(_ share: Double, _ source: Requirement.Source, _ order: [String]) -> [String] {
      Requirement(share: share, of: source, shares: shares, order: order).below
    }
    #expect(below(1, .computePlan, ["a"]).isEmpty && below(1, .forecast, ["a"]) == ["a"])
    #expect(below(0.95, .computePlan, ["c", "b", "a"]) == ["c"])
  }

  @Test func aHundredPercentIsAll() {
    #expect(percentText(1) == "100 %" && percentText(0.999_999_9) == "99.9999 %" && percentText(0.5) == "50.0000 %")
  }
}
