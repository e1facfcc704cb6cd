import Foundation
import Testing
import Tintype

@testable import TintypeCLI

/// `tintype generate --prompt-file`, as tests/python/cli/test_prompts.py has it for Python.
@Suite struct PromptFileTests {
  private static let lines = """
    \u{FEFF}a red circle

      {"prompt": "a blue square", "seed": 7.0, "steps": 2, "size": "128x128", "output": "blue.png"}\r
    {"prompt": "two", "count": 2, "backend": {"vae": "coreml"}, "use_t5": false}
    """

  /// A console with prompts.txt and an empty folder for pictures, and the command that draws them.
  private func prompts(_ text: String) throws -> (console: Console, words: [String]) {
    let console = try Console()
    try Data(text.utf8).write(to: console.folder.appendingPathComponent("prompts.txt"))
    let pictures = console.folder.appendingPathComponent("pictures")
    try FileManager.default.createDirectory(at: pictures, withIntermediateDirectories: false)
    let model = try CLITestBundles.url("sd3-medium-tiny-float32").path
    return (
      console,
      [
        "generate", "--prompt-file", console.path("prompts.txt"), "--model", model, "--steps", "1", "--seed", "1",
        "--guidance-scale", "1", "--backend", "mlx", "-o", console.path("pictures/out.png"),
      ]
    )
  }

  private func pictures(_ console: Console) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: console.path("pictures")).sorted()
  }

  @Test func everyLineIsDrawnAndResumingDrawsWhatIsMissing() async throws {
    let (console, words) = try prompts(Self.lines)
    #expect(await console.run(words + ["--json"]) == 0, "\(console.error)")
    let rows = try #require(JSONSerialization.jsonObject(with: Data(console.output.utf8)) as? [[String: Any]])
    let names = ["out-1.png", "blue.png", "out-3-1.png", "out-3-2.png"]
    #expect(rows.compactMap { ($0["output"] as? String).map { ($0 as NSString).lastPathComponent } } == names)
    #expect(try pictures(console) == names.sorted())
    let settings = rows.compactMap { $0["settings"] as? [String: Any] }
    #expect(settings.compactMap { $0["prompt"] as? String } == ["a red circle", "a blue square", "two", "two"])
    #expect(settings.compactMap { $0["seed"] as? Int } == [1, 7, 1, 1])
    #expect(settings.compactMap { $0["steps"] as? Int } == [1, 2, 1, 1])
    #expect(settings.compactMap { $0["image_index"] as? Int } == [1])
    #expect(settings.compactMap { $0["use_t5"] as? Bool } == [true, true, false, false])
    let backends = settings.compactMap { $0["backends"] as? [String: String] }
    #expect(backends.map { $0["vae"] } == ["mlx", "mlx", "coreml", "coreml"])
    #expect(backends.allSatisfy { $0["denoiser"] == "mlx" })

    try FileManager.default.removeItem(atPath: console.path("pictures/out-3-2.png"))
    let kept = Data("kept".utf8)
    try kept.write(to: URL(fileURLWithPath: console.path("pictures/blue.png")))
    let text = try Console()
    #expect(await text.run(words + ["--resume"]) == 0, "\(text.error)")
    #expect(text.output.hasPrefix("2 of 3 were drawn already\n"))
    #expect(text.output.contains("out-3-2.png: 128x128, 1 step"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: console.path("pictures/blue.png"))) == kept)
    let nothing = try Console()
    #expect(await nothing.run(words + ["--resume", "--json"]) == 0)
    #expect(try JSONDecoder().decode([String].self, from: Data(nothing.output.utf8)).isEmpty)
  }

  @Test(arguments: [
    ("", "prompts.txt has no prompts: write one a line"),
    ("x\n{x}", "prompts.txt, line 2: the line begins with { but is not JSON"),
    ("\n{\"seed\": 1}", "line 2: there is no prompt, expected keys among prompt, negative_prompt, steps"),
    (#"{"prompt": "x", "latents": 1}"#, "line 1: 'latents' is not known, expected keys among"),
    (#"{"prompt": "x", "size": "big"}"#, #"line 1: size is "big", expected WIDTHxHEIGHT such as 1024x768"#),
    (#"{"prompt": "x", "count": 0}"#, "line 1: count is 0, expected an integer from 1 to 10000"),
    (#"{"prompt": "x", "seed": -1}"#, "line 1: seed is -1, expected an integer from 0 to 4294967295"),
    (#"{"prompt": "x", "steps": 1.5}"#, "line 1: steps is 1.5, expected an integer"),
    (#"{"prompt": "x", "guidance_scale": -1}"#, "line 1: guidance_scale is -1, expected a number of at least 0"),
    (#"{"prompt": "x", "generator": "dice"}"#, #"line 1: generator is "dice", expected one of numpy"#),
    (#"{"prompt": "x", "units": {"unet": "ane"}}"#, #"line 1: units is {"unet":"ane"}, expected stages among"#),
    (#"{"prompt": "x", "strength": 0.5}"#, "line 1: strength has no influence without image: name the picture"),
    (#"{"prompt": "x", "image": "/nonexistent.png"}"#, "line 1: image is '/nonexistent.png', which cannot be read"),
    (#"{"prompt": "x", "output": 3}"#, "line 1: output is 3, expected a file's name"),
    (#"{"prompt": "x", "output": "a.xyz"}"#, "a.xyz', expected a name that ends with .png"),
    ("x\n{\"prompt\": \"y\", \"output\": \"out-1.png\"}", "out-1.png is the file of"),
    ("x\n{\"prompt\": \"y\", \"steps\": 0}", "line 2: steps is 0, expected an integer from 1 to 1000"),
    (#"{"prompt": 3}"#, "line 1: prompt is 3, expected a string"),
  ]) func aLineThatCannotBeIsNamed(_ text: String, _ message: String) async throws {
    let (console, words) = try prompts(text)
    #expect(await console.run(words) == 2)
    #expect(console.error.contains(message), "\(console.error)")
    #expect(try pictures(console).isEmpty)
  }

  @Test func onlyFilesOfPromptsAreResumed() async throws {
    let console = try Console()
    #expect(await console.run(["generate", "a cat", "--resume", "-o", console.path("out.png")]) == 2)
    #expect(console.error.contains("--resume leaves out what --prompt-file has drawn"), "\(console.error)")
  }

  @Test func anInterruptedRunSaysHowToGoOn() async throws {
    let (console, words) = try prompts("a\n{\"prompt\": \"b\", \"steps\": 1000}")
    let task = Task { await console.run(words) }
    while try pictures(console).isEmpty { try await Task.sleep(for: .milliseconds(20)) }
    task.cancel()
    #expect(await task.value == 130)
    #expect(
      console.error == "tintype: 1 of 2 pictures are drawn; with --resume the same command goes on\n"
        + "tintype: error: interrupted\n")
    #expect(try pictures(console) == ["out-1.png"])
  }

  @Test func whatDoesNotGoTogetherIsRefused() async throws {
    let (console, words) = try prompts("a")
    #expect(await console.run(words + ["a prompt"]) == 2)
    #expect(console.error.contains("--prompt-file names all prompts: leave PROMPT and --from out"))
    #expect(await console.run(words + ["--noise-out", console.path("n.npy")]) == 2)
    #expect(console.error.contains("--latents-out and --noise-out are of one PROMPT"))
    #expect(await console.run(["generate", "--prompt-file", "/nonexistent.txt"]) == 2)
    #expect(console.error.contains("the prompts cannot be read from /nonexistent.txt ("))
  }

  /// Previews of several prompts have their numbers; a picture that many begin with is read once.
  @Test func previewsAndSources() async throws {
    let (console, words) = try prompts("a\n{\"prompt\": \"b\", \"strength\": 1}")
    let source = console.path("source.png")
    let bytes = [UInt8](repeating: 90, count: 3 * 128 * 128)
    try PNG.encode(#require(RGBImage(width: 128, height: 128, bytes: bytes))).write(to: URL(fileURLWithPath: source))
    let extra = ["--steps", "2", "--image", source, "--strength", "0.5", "--preview-folder", console.folder.path]
    #expect(await console.run(words + extra + ["--json"]) == 0, "\(console.error)")
    let names = try FileManager.default.contentsOfDirectory(atPath: console.folder.path)
    #expect(names.filter { $0.contains("step") }.sorted() == ["1-step-1.png", "2-step-1.png", "2-step-2.png"])
    let rows = try #require(JSONSerialization.jsonObject(with: Data(console.output.utf8)) as? [[String: Any]])
    #expect(rows.compactMap { ($0["settings"] as? [String: Any])?["strength"] as? Double } == [0.5, 1])
  }
}
