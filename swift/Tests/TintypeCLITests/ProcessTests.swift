import Foundation
import Testing

@testable import TintypeCLI

/// The built executable itself: signals, streams and exit codes, which the in-process tests cannot see.
@Suite struct ProcessTests {
  struct NotBuilt: Error, CustomStringConvertible {
    let folder: String
    var description: String { "there is no executable tintype in \(folder): build it with `swift build --build-tests`" }
  }

  private func process(_ words: [String]) throws -> (process: Process, output: Pipe, error: Pipe) {
    #if os(Linux)
      let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    #else
      let folder =
        Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }
        .map { URL(fileURLWithPath: $0.bundlePath).deletingLastPathComponent() } ?? URL(fileURLWithPath: ".")
    #endif
    let file = folder.appendingPathComponent("tintype")
    guard FileManager.default.isExecutableFile(atPath: file.path) else { throw NotBuilt(folder: folder.path) }
    let process = Process()
    let (output, error) = (Pipe(), Pipe())
    process.executableURL = file
    process.arguments = words
    process.standardOutput = output
    process.standardError = error
    return (process, output, error)
  }

  private func text(_ pipe: Pipe) -> String {
    String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  }

  @Test func resultsGoToOutputAndMistakesToError() throws {
    let good = try process(["--version"])
    try good.process.run()
    #expect(text(good.output).hasPrefix("tintype "))
    good.process.waitUntilExit()
    #expect(good.process.terminationStatus == 0)

    let bad = try process(["generate"])
    try bad.process.run()
    #expect(text(bad.output).isEmpty)
    #expect(text(bad.error) == "tintype: error: PROMPT is missing (see `tintype generate --help`)\n")
    bad.process.waitUntilExit()
    #expect(bad.process.terminationStatus == 2)
  }

  @Test func controlCEndsARunAndLeavesNoFile() throws {
    let console = try Console()
    let run = try process([
      "generate", "x", "--model", try CLITestBundles.url("sd3-medium-tiny-float32").path, "--steps", "1000", "-o",
      console.path("x.png"),
    ])
    try run.process.run()
    Thread.sleep(forTimeInterval: 2)
    run.process.interrupt()
    #expect(text(run.error) == "tintype: error: interrupted\n")
    run.process.waitUntilExit()
    #expect(run.process.terminationReason == .exit)
    #expect(run.process.terminationStatus == 130)
    #expect(!FileManager.default.fileExists(atPath: console.path("x.png")))
  }
}
