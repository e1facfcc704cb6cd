import Foundation
import Testing
import Tintype

@testable import TintypeCLI

@Suite struct InspectPictureTests {
  private static let settings = """
    {"prompt": "a cat", "negative_prompt": "", "steps": 4, "guidance_scale": 1.5, "seed": 7, "generator": "torch", \
    "width": 64, "height": 32, "use_t5": false, "model": "m", "precision": "float16", \
    "backends": {"vae": "mlx", "denoiser": "coreml"}}
    """

  private func picture(_ console: Console, texts: [(keyword: String, text: String)]) throws -> String {
    let image = try #require(RGBImage(width: 1, height: 1, bytes: [1, 2, 3]))
    try PNG.encode(image, texts: texts).write(to: URL(fileURLWithPath: console.path("x.png")))
    return console.path("x.png")
  }

  @Test func settingsAreShown() async throws {
    let (text, json) = (try Console(), try Console())
    let file = try picture(text, texts: [(GenerationSettings.pngKeyword, Self.settings)])
    #expect(await text.run(["inspect", file]) == 0)
    let lines = text.output.split(separator: "\n").map(String.init)
    #expect(lines.first == "prompt           a cat")
    for line in [
      "negative prompt  -", "guidance scale   1.5", "size             64x32", "generator        torch",
      "use t5           no", "backends         denoiser coreml, vae mlx",
    ] { #expect(lines.contains(line), "\(line)") }
    #expect(await json.run(["inspect", file, "--json"]) == 0)
    let report = try #require(JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
    #expect(report["kind"] as? String == "picture" && report["path"] as? String == file)
    #expect(report["seed"] as? Int == 7 && report["guidance_scale"] as? Double == 1.5)
  }

  @Test func otherPicturesHaveNone() async throws {
    let console = try Console()
    #expect(await console.run(["inspect", try picture(console, texts: [])]) == 2)
    #expect(console.error.contains("it holds no settings of Tintype's: name a picture that tintype has written"))
    let broken = try Console()
    try Data("x".utf8).write(to: URL(fileURLWithPath: broken.path("y.png")))
    #expect(await broken.run(["inspect", broken.path("y.png")]) == 2)
    #expect(broken.error.contains("y.png: it is not a PNG file"))
  }
}
