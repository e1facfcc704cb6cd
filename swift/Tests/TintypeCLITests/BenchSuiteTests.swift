import Foundation
import TestSupport
import Testing
import Tintype

@testable import TintypeCLI

@Suite struct BenchSuiteTests {
  @Test(arguments: BackendKind.allCases) func programsComputeWhatTheySay(_ kind: BackendKind) throws {
    let folder = try TemporaryFolder()
    let package = folder.url.appendingPathComponent("chain.mlpackage")
    var program = BenchProgram(shape: [2, 3])
    try program.apply("mul", row: [1, 2, 4])
    try program.apply("add", row: [0.5, -0.5, 0])
    program.addInput()
    program.gelu()
    try program.write(to: package)
    let model = try (kind == .coreml ? BackendChoice.coreml : .mlx).makeBackend().load(package, units: .cpuOnly)
    let values: [Float] = [0, 1, -1, 0.5, -2, 3]
    let x = try Tensor(shape: [2, 3], floats: values).converted(to: .float16)
    let y = try #require(try model.predict(["x": x])["y"])
    #expect(y.shape == [2, 3] && y.elementType == .float16)
    let sums = zip(values, zip([1, 2, 4, 1, 2, 4], [0.5, -0.5, 0, 0.5, -0.5, 0])).map { x, row in
      Double(x) * row.0 + row.1 + Double(x)
    }
    for (found, sum) in zip(y.floats(), sums) {
      let gelu = 0.5 * sum * (1 + tanh((2 / Double.pi).squareRoot() * (sum + 0.044715 * sum * sum * sum)))
      #expect(abs(Double(found) - gelu) < 0.01, "\(found) \(gelu)")
    }
  }

  @Test func swiftIsHeldToTheCABI() async throws {
    let console = try Console()
    #expect(await console.run(["bench", "--suite", "overhead", "--repeat", "40", "--json"]) == 0, "\(console.error)")
    let rows = try #require(JSONSerialization.jsonObject(with: Data(console.output.utf8)) as? [[String: Any]])
    #expect(rows.count == 3)
    for row in rows {
      #expect(Set(row.keys) == ["name", "peer", "rate", "limit", "ratio", "unit", "bar", "passes"])
    }
    #expect(rows.prefix(2).allSatisfy { $0["limit"] as? Double == 20 })
    let one = try Console()
    #expect(await one.run(["bench", "--suite", "overhead", "--repeat", "40", "--backend", "mlx"]) == 0)
    #expect(one.output.contains("Swift on mlx, over the C ABI") && !one.output.contains("coreml"))
  }

  @Test func aDifferenceOfNothingIsNoInfiniteRatio() {
    #expect(OverheadSuite.row("x", -3).ratio == 200 && OverheadSuite.row("x", 40).ratio == 0.5)
    #expect(OverheadSuite.row("x", 20).passes && !OverheadSuite.row("x", 21).passes)
  }

  @Test func aPictureIsHeldToItsModels() async throws {
    let told = Locked<[Int]>([])
    let suite = PipelineSuite(
      bundle: try ModelBundle(at: CLITestBundles.url("demo")), kinds: BackendKind.allCases, units: .all, steps: 1,
      pictures: 2)
    let report = try await suite.run { _, done, _ in told.withLock { $0.append(done) } }
    #expect(told.withLock { $0 } == Array(0..<6))
    #expect(report.rows.map(\.peer) == ["its models alone", "its models alone", "mlx"])
    for row in report.rows.prefix(2) {
      #expect(row.ratio > 0 && row.ratio < 1 && row.rate > row.limit && row.limit > 0)
    }
    #expect(report.rows[2].rate == report.rows[0].rate && report.rows[2].limit == report.rows[1].rate)
    #expect(report.rows[0].name == "a picture, 1 steps, \(label(of: .coreml))")
  }

  @Test func reportsAreMarkdown() {
    let row = BenchRow(name: "a", peer: "b", rate: 1.25, limit: 2, ratio: 0.625, unit: "ms", bar: 0.7)
    let text = BenchReport(rows: [row], notes: ["mlx not measured: gone"]).text
    #expect(
      text == """
        | case | against | measured | limit | ratio | bar | met |
        | --- | --- | --- | --- | --- | --- | --- |
        | a | b | 1.3 ms | 2.0 ms | 0.63 | 0.70 | NO |

        mlx not measured: gone
        """)
  }

  @Test func workIsTimedInTurn() throws {
    var calls = ""
    let pairs = try inTurn({ calls += "a" }, { calls += "b" }, rounds: 2, repeats: 2)
    #expect(calls == "aabbaabbaabb" && pairs.count == 2)
    #expect(pairs.allSatisfy { $0.work >= 0 && $0.peer >= 0 })
  }

  @Test func aSuiteNeedsNoPath() async throws {
    let both = try Console()
    #expect(await both.run(["bench", "x", "--suite", "cpu"]) == 2)
    #expect(both.error.contains("--suite and 'x' exclude each other: leave one of them out"))
    let demo = try Console()
    #expect(await demo.run(["bench"], environment: ["TINTYPE_CACHE": demo.folder.path]) == 1)
    #expect(demo.error.contains("the embedded model has not been converted"))
    let help = try Console()
    #expect(await help.run(["bench", "--help"]) == 0)
    #expect(help.output.hasPrefix("Usage: tintype bench [PATH] [options]\n"))
  }
}
