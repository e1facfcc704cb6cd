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
    #expect(Set(report.keys) == ["forecast", "path", "compute_plans"])
    #expect(report["forecast"] as? Bool == false && report["path"] as? String == bundle)
    let plans = try #require(report["compute_plans"] as? [String: [String: Any]])
    #expect(plans["modulation"] != nil && plans["denoiser 1"] != nil && plans["denoiser 2"] != nil)
    for plan in plans.values {
      #expect(Set(plan.keys) == ["implementation", "units", "function", "devices", "elsewhere"])
      #expect(plan["implementation"] as? String == CoreMLPlatform.implementation)
      #expect(plan["units"] as? String == "cpu" && plan["function"] as? String != nil)
    }
    let devices = try #require(plans["denoiser 1"]?["devices"] as? [String: [String: Any]])
    #expect(try #require(devices["cpu"]?["operations"] as? Int) > 10)
  }

  @Test func theNeuralEngineIsAskedForUnasked() async throws {
    let package = Fixture.package("multi_output")
    let plans = try #require(
      try await report(Console(), [package.path])["compute_plans"] as? [String: [String: Any]])
    #expect(plans["multi_output.mlpackage"]?["units"] as? String == "ane")
  }

  @Test func peopleAreToldWhoseCoreMLItIs() async throws {
    let console = try Console()
    #expect(await console.run(["inspect", Fixture.package("multi_output").path, "--neural-engine"]) == 0)
    let lines = console.output.split(separator: "\n").map(String.init)
    #expect(lines[1].split(separator: " ").first == "package" && lines[1].contains("on the Neural Engine"))
    #expect(lines[2].hasPrefix("multi_output.mlpackage"))
    if !CoreMLPlatform.isApples {
      #expect(lines[0].hasPrefix("This Core ML is the portable one, not Apple's"))
      #expect(lines[0].hasSuffix("Python's `tintype inspect --neural-engine` forecasts it by rules, op by op."))
      #expect(lines[2].split(separator: " ").suffix(5) == ["0.0000", "%", "0", "0", "3"])
    }
  }

  @Test func aShareMayBeRequired() async throws {
    let (words, console) = (["inspect", Fixture.package("multi_output").path, "--neural-engine"], try Console())
    #expect(await console.run(words + ["--require", "0%"]) == 0, "\(console.error)")
    if CoreMLPlatform.isApples { return }
    let json = try Console()
    #expect(await json.run(words + ["--require", "95%", "--json"]) == 1)
    let report = try #require(JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
    let required = try #require(report["required"] as? [String: Any])
    #expect(Set(required.keys) == ["share", "of", "shares", "below", "passed"])
    #expect(required["share"] as? Double == 0.95 && required["passed"] as? Bool == false)
    #expect(required["below"] as? [String] == ["multi_output.mlpackage"])
    #expect(
      json.error
        == "tintype: error: on the Neural Engine (Core ML's compute plan): multi_output.mlpackage 0.0000 %, expected at "
        + "least 95 %; the portable Core ML has no Neural Engine: ask on a Mac, or Python's command, which forecasts\n")
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
    #expect(Requirement(share: 1, shares: shares, order: ["a"]).below.isEmpty)
    #expect(Requirement(share: 0.95, shares: shares, order: ["c", "b", "a"]).below == ["c"])
  }

  @Test func aHundredPercentIsAll() {
    #expect(percentText(1) == "100 %" && percentText(0.999_999_9) == "99.9999 %" && percentText(0.5) == "50.0000 %")
  }
}
