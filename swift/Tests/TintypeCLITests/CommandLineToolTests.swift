import Foundation
import Testing
import Tintype

@testable import TintypeCLI

@Suite struct CommandLineToolTests {
  @Test(arguments: [[], ["--help"], ["-h"], ["help"]]) func helpListsTheCommands(_ words: [String]) async throws {
    let console = try Console()
    #expect(await console.run(words) == 0)
    for name in ["generate", "inspect", "backends"] { #expect(console.output.contains("\n  \(name)")) }
    #expect(console.error.isEmpty)
  }

  @Test(arguments: [GenerateCommand.spec, InspectCommand.spec, BackendsCommand.spec])
  func everyOptionIsInItsCommandsHelp(_ spec: CommandSpec) async throws {
    let (one, two) = (try Console(), try Console())
    #expect(await one.run([spec.name, "--help"]) == 0)
    #expect(await two.run(["help", spec.name]) == 0)
    #expect(one.output == two.output)
    for option in spec.allOptions { #expect(one.output.contains(option.name)) }
    #expect(one.output.split(separator: "\n").allSatisfy { $0.count <= Help.width })
  }

  @Test(arguments: [(20, 40), (60, 60), (200, Help.width)])
  func helpIsAsWideAsTheTerminal(_ columns: Int, _ most: Int) throws {
    let specs = [GenerateCommand.spec, InspectCommand.spec, BenchCommand.spec]
    for text in specs.map({ Help.text(for: $0, columns: columns) }) + [Help.overview(specs, columns: columns)] {
      let lines = text.components(separatedBy: "\nExamples:")[0].split(separator: "\n").dropFirst()
      // A line of one word cannot be broken.
      for line in lines { #expect(line.count <= most || line.split(separator: " ").count < 4, "\(line)") }
      #expect(lines.contains { $0.count > most - 8 })
    }
  }

  @Test func aProgressLineStaysOneLine() {
    let told = Locked("")
    let terminal = Terminal(
      output: { _ in }, error: { text in told.withLock { $0 += text } }, showsProgress: true, columns: 20)
    ProgressLine(terminal, quiet: false).show("drawing", 1, of: 2)
    #expect(told.withLock { $0 } == "\r\u{1B}[Kdrawing  [#########")
  }

  @Test func versionIsThePackages() async throws {
    let console = try Console()
    #expect(await console.run(["--version"]) == 0)
    #expect(console.output == "tintype \(tintypeVersion)\n")
  }

  @Test(
    arguments: [
      (["generat", "x"], 2, "there is no command generat; did you mean generate? (see `tintype --help`)"),
      (["convert", "x"], 2, "there is no command convert (see `tintype --help`)"),
      (["--vers"], 2, "there is no option --vers; did you mean --version? (see `tintype --help`)"),
      (["inspect"], 2, "PATH is missing (see `tintype inspect --help`)"),
      (["inspect", "/nonexistent"], 1, "there is nothing at /nonexistent: name a bundle or an .mlpackage"),
      (
        ["inspect", "/"], 1, "/ is no bundle, .mlpackage, folder of them, or .png: name one of these"
      ),
      (
        ["generate", "x", "--model", "/nonexistent"], 1,
        "there is no bundle at /nonexistent: convert a model with `tintype convert SOURCE -o /nonexistent`"
      ),
      (
        ["generate", "x", "-o", "x.bmp"], 2,
        "--output is 'x.bmp', expected a name that ends with \(PictureFormat.writableSuffixes.joined(separator: " or ")) "
          + "(see `tintype generate --help`)"
      ),
      (
        ["generate", "x", "--latents-out", "x.bin"], 2,
        "--latents-out is x.bin, expected a name that ends with .npy or .safetensors (see `tintype generate --help`)"
      ),
      (
        ["generate", "x", "--latents-out", "x.npy", "--noise-out", "./x.npy"], 2,
        "--noise-out is x.npy, the file of --latents-out, too: name another (see `tintype generate --help`)"
      ),
      (
        ["warm", "x", "--time-box", "0"], 2,
        "--time-box is '0', expected a positive number of seconds, or none (see `tintype warm --help`)"
      ),
      (
        ["generate", "x", "--time-box", "soon"], 2,
        "--time-box is 'soon', expected a positive number of seconds, or none (see `tintype generate --help`)"
      ),
      (
        ["generate", "x", "--resize", "fill"], 2,
        "--resize has no influence without --image: name the picture to begin with (see `tintype generate --help`)"
      ),
      (
        ["generate", "x", "--output="], 2,
        "--output is '', expected the name of a file or folder (see `tintype generate --help`)"
      ),
      (
        ["generate", "x", "--guidance-scale", "-1"], 2,
        "--guidance-scale is -1, expected a number of at least 0 (1 or less: no guidance) "
          + "(see `tintype generate --help`)"
      ),
      (
        ["generate", "x", "--guidance-scale", "nan"], 2,
        "--guidance-scale is 'nan', expected a number (see `tintype generate --help`)"
      ),
      (
        ["generate", "x", "-o", "/nonexistent/x.png"], 2,
        "the folder /nonexistent does not exist: make it, or name another file (see `tintype generate --help`)"
      ),
    ] as [([String], Int32, String)])
  func mistakesAreOneLineAndACode(_ words: [String], _ code: Int32, _ message: String) async throws {
    let console = try Console()
    #expect(await console.run(words) == code)
    #expect(console.error == "tintype: error: \(message)\n")
    #expect(console.output.isEmpty)
  }

  @Test func theEmbeddedModelIsLookedForInTheCache() async throws {
    let console = try Console()
    let code = await console.run(["generate", "x"], environment: ["TINTYPE_CACHE": console.folder.path])
    #expect(code == 1)
    let message = """
      tintype: error: the embedded model has not been converted (looked in \(console.folder.path)): run Python's \
      `tintype generate` once, or `tintype convert SOURCE -o BUNDLE` and name the bundle with --model

      """
    #expect(console.error == message)
    // Half-made and foreign folders are passed over, the newest whole bundle is taken.
    for name in ["tintype-demo-0", "other"] {
      try FileManager.default.createDirectory(
        at: console.folder.appendingPathComponent(name), withIntermediateDirectories: true)
    }
    let copy = console.folder.appendingPathComponent("tintype-demo-0123456789abcdef")
    try FileManager.default.copyItem(at: CLITestBundles.url("demo"), to: copy)
    let found = try EmbeddedModel.folder(environment: ["TINTYPE_CACHE": console.folder.path])
    #expect(found.lastPathComponent == copy.lastPathComponent)
  }

  @Test func cachesLieWherePlatformdirsPutsThem() {
    #if os(Linux)
      #expect(EmbeddedModel.cacheFolder(environment: ["HOME": "/home/x"]).path == "/home/x/.cache/tintype")
      let own = ["HOME": "/home/x", "XDG_CACHE_HOME": "/caches"]
      #expect(EmbeddedModel.cacheFolder(environment: own).path == "/caches/tintype")
    #else
      #expect(EmbeddedModel.cacheFolder(environment: ["HOME": "/Users/x"]).path == "/Users/x/Library/Caches/tintype")
    #endif
    #expect(EmbeddedModel.cacheFolder(environment: ["TINTYPE_CACHE": "/c"]).path == "/c")
  }

  @Test func backendsTellWhatRuns() async throws {
    let console = try Console()
    #expect(await console.run(["backends", "--json"]) == 0)
    let rows = try #require(JSONSerialization.jsonObject(with: Data(console.output.utf8)) as? [[String: Any]])
    #expect(rows.map { $0["name"] as? String } == ["coreml", "mlx"])
    for row in rows {
      let reason = row["reason"] as? String
      let isAvailable = row["available"] as? Bool
      #expect(isAvailable == (reason == ""))
      let details = try #require(row["details"] as? [String: Any])
      #expect(details["device"] is [String: Any])
    }
    let text = try Console()
    #expect(await text.run(["backends"]) == 0)
    #expect(text.output.split(separator: "\n").count == 2)
  }
}
