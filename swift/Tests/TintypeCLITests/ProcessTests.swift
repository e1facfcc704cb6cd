import Foundation
import TestSupport
import Testing
import Tintype

@testable import TintypeCLI

/// The built executable itself: signals, streams and exit codes, which the in-process tests cannot see.
@Suite struct ProcessTests {
  struct NotBuilt: Error, CustomStringConvertible {
    let folder: String
    var description: String {
      "there is no executable tintype-cli in \(folder): build it with `swift build --build-tests`"
    }
  }

  private func process(_ words: [String]) throws -> (process: Process, output: Pipe, error: Pipe) {
    #if os(Linux)
      let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    #else
      let folder =
        Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }
        .map { URL(fileURLWithPath: $0.bundlePath).deletingLastPathComponent() } ?? URL(fileURLWithPath: ".")
    #endif
    let file = folder.appendingPathComponent("tintype-cli")
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

  /// The JSON must not get into a file that the command opens meanwhile, and takes the closed stream's number.
  @Test func closedStreamsAreNoFiles() throws {
    let console = try Console()
    let file = try process(["--version"]).process.executableURL?.path ?? ""
    let words = [
      file, "run", Fixture.package("linear").path, "--backend", "mlx", "--json", "--input",
      "x=\(console.path("x.npy"))",
      "-o", console.path("y.npz"),
    ]
    try NPY.encode(try Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6])).write(
      to: URL(fileURLWithPath: console.path("x.npy")))
    let shell = Process()
    let error = Pipe()
    shell.executableURL = URL(fileURLWithPath: "/bin/sh")
    shell.arguments = ["-c", "exec \"$@\" <&- >&-", "sh"] + words
    shell.standardError = error
    try shell.run()
    #expect(text(error).isEmpty)
    shell.waitUntilExit()
    #expect(shell.terminationStatus == 0)
    let names = try FileManager.default.contentsOfDirectory(atPath: console.folder.path)
    #expect(names.sorted() == ["x.npy", "y.npz"])
    let written = try Data(contentsOf: URL(fileURLWithPath: console.path("y.npz")))
    #expect(written.starts(with: Data("PK".utf8)) && written.range(of: Data("\"package\"".utf8)) == nil)
  }

  #if os(Linux)
    @Test func anArgumentIsText() throws {
      let file = try process(["--version"]).process.executableURL?.path ?? ""
      let shell = Process()
      let error = Pipe()
      shell.executableURL = URL(fileURLWithPath: "/bin/sh")
      shell.arguments = ["-c", "exec \"$1\" generate \"$(printf 'a\\377')\"", "sh", file]
      shell.standardError = error
      try shell.run()
      #expect(text(error) == "tintype: error: argument 2, 'a\u{FFFD}', is no text in UTF-8 (see `tintype --help`)\n")
      shell.waitUntilExit()
      #expect(shell.terminationStatus == 2)
    }
  #endif

  @Test func aReaderMayLeave() throws {
    let run = try process(["--help"])
    try run.output.fileHandleForReading.close()
    try run.process.run()
    #expect(text(run.error).isEmpty)
    run.process.waitUntilExit()
    #expect(run.process.terminationReason == .exit && run.process.terminationStatus == 0)
  }

  #if os(Linux)
    @Test func outputThatCannotBeWrittenIsAnError() throws {
      let run = try process(["--help"])
      run.process.standardOutput = FileHandle(forWritingAtPath: "/dev/full")
      try run.process.run()
      #expect(
        text(run.error) == "tintype: error: standard output cannot be written (No space left on device)\n")
      run.process.waitUntilExit()
      #expect(run.process.terminationStatus == 1)
    }
  #endif

  @Test(arguments: [SIGINT, SIGTERM, SIGHUP]) func signalsEndARunAndLeaveNoFile(_ number: Int32) throws {
    let console = try Console()
    let run = try process([
      "generate", "x", "--model", try CLITestBundles.url("sd3-medium-tiny-float32").path, "--steps", "1000", "-o",
      console.path("x.png"),
    ])
    try run.process.run()
    Thread.sleep(forTimeInterval: 2)
    kill(run.process.processIdentifier, number)
    #expect(text(run.error) == "tintype: error: interrupted\n")
    run.process.waitUntilExit()
    #expect(run.process.terminationReason == .exit)
    #expect(run.process.terminationStatus == 130)
    #expect(!FileManager.default.fileExists(atPath: console.path("x.png")))
  }

  #if os(Linux)
    /// Four processes that compile one package into one cache: all run, and one whole entry is left.
    @Test func processesShareTheCompileCache() throws {
      let console = try Console()
      let cache = console.folder.appendingPathComponent("cache")
      try FileManager.default.createDirectory(at: cache, withIntermediateDirectories: true)
      try NPY.encode(try Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6])).write(
        to: URL(fileURLWithPath: console.path("x.npy")))
      let runs = try (0..<4).map { number in
        let run = try process([
          "run", Fixture.package("linear").path, "--input", "x=\(console.path("x.npy"))", "--backend", "coreml", "-o",
          console.path("y-\(number).npz"),
        ])
        run.process.environment = ProcessInfo.processInfo.environment.merging(["XDG_CACHE_HOME": cache.path]) { $1 }
        try run.process.run()
        return run
      }
      for run in runs {
        let told = text(run.error).split(separator: "\n")
        #expect(told.allSatisfy { $0.hasPrefix("tintype: compiling linear for Core ML") }, "\(told)")
        run.process.waitUntilExit()
        #expect(run.process.terminationStatus == 0)
      }
      let results = try (0..<4).map { try Data(contentsOf: URL(fileURLWithPath: console.path("y-\($0).npz"))) }
      #expect(Set(results).count == 1)
      let names = try FileManager.default.contentsOfDirectory(
        atPath: cache.appendingPathComponent("tintype/coreml").path)
      #expect(names.filter { $0.hasSuffix(".mlmodelc") }.count == 1, "\(names)")
    }
  #endif
}
