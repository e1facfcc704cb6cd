import Testing
import Tintype

@testable import TintypeCLI

@Suite struct ArgumentsTests {
  private static let stages =
    ", or STAGE=VALUE with commas between, for stages among text_encoder, denoiser, vae"

  @Test func backendAndUnitsMayBeChosenByStage() throws {
    func configuration(_ words: String...) throws -> PipelineConfiguration {
      try Arguments(["a"] + words, for: GenerateCommand.spec).configuration(GenerateCommand.spec)
    }
    #expect(try configuration().backend == .all(.auto))
    #expect(try configuration("--backend", "mlx").backend[.vae] == .mlx)
    let mixed = try configuration("--backend=denoiser=coreml,vae=mlx", "--units", "denoiser=ane")
    #expect(PipelineStage.allCases.map { mixed.backend[$0] } == [.auto, .coreml, .mlx])
    #expect(PipelineStage.allCases.map { mixed.units[$0] } == [.all, .cpuAndNeuralEngine, .all])
    #expect(mixed.timeBox == .seconds(300))
    #expect(try configuration("--time-box", "2.5").timeBox == .milliseconds(2500))
    #expect(try configuration("--time-box", "none").timeBox == nil)
  }

  @Test func bytesAreCountedInEveryUnit() {
    for (text, bytes) in [
      ("1GB", 1_000_000_000), ("500mb", 500_000_000), ("2GiB", 2 << 30), ("1.5 G", 1_500_000_000), ("7", 7),
      ("3k", 3000),
      ("12b", 12), ("0.5KiB", 512),
    ] {
      #expect(byteCount(text) == bytes, "\(text)")
    }
    for text in [
      "", "0", "0.4", "-1GB", "x", "2 boxes", "1iB", "GB", "1e3", "1.2.3M", "99999999999999GB", "nan", "inf",
    ] {
      #expect(byteCount(text) == nil, "\(text)")
    }
  }

  @Test func optionsStandAnywhereInEveryForm() throws {
    let words = [
      "--steps=4", "a cat", "-o", "x.png", "--seed", "-1", "--no-t5", "--negative-prompt", "", "--steps", "5",
    ]
    let arguments = try Arguments(words, for: GenerateCommand.spec)
    #expect(arguments.positionals == ["a cat"])
    #expect(
      arguments.values == ["--steps": "5", "--output": "x.png", "--seed": "-1", "--negative-prompt": ""])
    #expect(arguments.flags == ["--no-t5"])
  }

  @Test func afterTwoDashesAllIsText() throws {
    #expect(try Arguments(["--", "--steps"], for: GenerateCommand.spec).positionals == ["--steps"])
    #expect(try Arguments(["-"], for: GenerateCommand.spec).positionals == ["-"])
    #expect(try Arguments(["-4.5"], for: GenerateCommand.spec).positionals == ["-4.5"])
  }

  @Test func helpNeedsNothingElse() throws {
    #expect(try Arguments(["--help"], for: GenerateCommand.spec).has("--help"))
    #expect(try Arguments(["-h", "a", "b"], for: GenerateCommand.spec).has("--help"))
  }

  @Test(
    arguments: [
      ([], "PROMPT is missing"),
      (["a", "cat"], "'cat' is one argument too many; put quotes around a text with spaces"),
      (["a", "--step", "4"], "there is no option --step; did you mean --steps?"),
      (["a", "--guidence-scale", "4"], "there is no option --guidence-scale; did you mean --guidance-scale?"),
      (["a", "--frobnicate"], "there is no option --frobnicate"),
      (["a", "-q"], "there is no option -q"),
      (["a", "--steps"], "--steps needs a value: --steps N"),
      (["a", "--output", "--quiet"], "--output needs a value: --output FILE"),
      (["a", "--quiet=yes"], "--quiet takes no value, got 'yes'"),
      (["a", "--backend", "cuda"], "--backend is 'cuda', expected one of auto, coreml, mlx\(Self.stages)"),
      (["a", "--backend", "vae=cuda"], "--backend is 'vae=cuda', expected one of auto, coreml, mlx\(Self.stages)"),
      (["a", "--backend", "vae=mlx,"], "--backend is 'vae=mlx,', expected one of auto, coreml, mlx\(Self.stages)"),
      (["a", "--backend", "vea=mlx"], "--backend is 'vea=mlx', expected one of auto, coreml, mlx\(Self.stages)"),
      (["a", "--units=npu"], "--units is 'npu', expected one of all, cpu, gpu, ane\(Self.stages)"),
      (["a", "--steps", "many"], "--steps is 'many', expected an integer"),
      (["a", "--guidance-scale", "much"], "--guidance-scale is 'much', expected a number"),
      (["a", "--size", "128"], "--size is '128', expected WIDTHxHEIGHT in pixels, such as 1024x768"),
    ] as [([String], String)]) func errorsSayWhatAndWhereHelpIs(_ words: [String], _ problem: String)
  {
    #expect {
      _ = try GenerateCommand(Arguments(words, for: GenerateCommand.spec))
    } throws: { error in
      #expect("\(error)" == "\(problem) (see `tintype generate --help`)")
      return error is ArgumentError
    }
  }

  @Test(arguments: [("abc", "abc", 0), ("abc", "acb", 1), ("", "abc", 3), ("kitten", "sitting", 3)])
  func editsAreCounted(_ a: String, _ b: String, _ distance: Int) {
    #expect(editDistance(a, b) == distance)
    #expect(editDistance(b, a) == distance)
  }

  @Test(arguments: [
    (5.0, "5"), (4.5, "4.5"), (-2, "-2"), (1e300, "1e+300"),
  ]) func shortNumbers(_ value: Double, _ text: String) {
    #expect(shortNumber(value) == text)
  }

  @Test(
    arguments: [
      (0, 1, "0.0"), (1.25, 1, "1.3"), (0.04, 1, "0.0"), (-1.06, 1, "-1.1"), (12.5, 0, "13"), (.infinity, 1, "inf"),
    ] as [(Double, Int, String)]) func fixedDecimals(_ value: Double, _ count: Int, _ text: String)
  {
    #expect(decimals(value, count) == text)
  }

  @Test func countsAndBytes() {
    #expect([0, 999, 1500, 2_260_000_000_000].map(bytesText) == ["0 B", "999 B", "1.5 kB", "2260.0 GB"])
    #expect([7, 1230, 4_920_000, 8_060_000_000].map(countText) == ["7", "1.23 k", "4.92 M", "8.06 G"])
  }
}
