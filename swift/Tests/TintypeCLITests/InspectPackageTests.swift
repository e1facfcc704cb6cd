import Foundation
import Testing
import Tintype

@testable import TintypeCLI

@Suite struct InspectPackageTests {
  /// What a package says itself is what the conversion wrote into bundle.json, but for the three biases of the decoder's
  /// colours: so few lie in the program, not in the weight file.
  @Test(arguments: ["sd3-medium-tiny-float16", "flux-dev-tiny-float32", "demo"])
  func parametersAreThoseOfTheBundle(_ name: String) async throws {
    let bundle = try ModelBundle(at: CLITestBundles.url(name))
    for (component, row) in bundle.descriptor.components {
      let path = bundle.folder.appendingPathComponent(try #require(row.path)).path
      let console = try Console()
      #expect(await console.run(["inspect", path, "--json"]) == 0, "\(console.error)")
      let report = try #require(JSONSerialization.jsonObject(with: Data(console.output.utf8)) as? [String: Any])
      let inline = component == "vae_decoder" ? 3 : 0
      #expect(report["parameters"] as? Int == row.parameters.map { $0 - inline }, "\(component)")
      let function = try #require((report["functions"] as? [String: [String: Any]])?["main"])
      let ops = try #require(function["ops"] as? [String: Int])
      #expect(ops["const"] == nil && ops.values.reduce(0, +) == function["op_count"] as? Int)
    }
  }

  @Test func aPackagesFirstLineNamesThem() async throws {
    let bundle = try ModelBundle(at: CLITestBundles.url("sd3-medium-tiny-float32"))
    let row = try bundle.descriptor.component(.denoiser)
    let path = bundle.folder.appendingPathComponent("denoiser.mlpackage").path
    let console = try Console()
    #expect(await console.run(["inspect", path]) == 0, "\(console.error)")
    let (parameters, bytes) = (countText(try #require(row.parameters)), bytesText(try #require(row.weightBytes)))
    #expect(console.output.hasPrefix("\(path): specification "))
    let line = console.output.prefix { $0 != "\n" }
    #expect(line.hasSuffix(", \(parameters) parameters, \(bytes) of weights"), "\(line)")
  }
}
