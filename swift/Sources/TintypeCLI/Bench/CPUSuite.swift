import Foundation
import Tintype

/// Suite `cpu`: how close the engine's element-wise ops come to a copy of memory. A copy of 3.6 MB to another place, bytes
/// read and written counted, is what one thread moves within the shared cache, where the ops find their operands too.
/// Linear layers, convolutions and attention have NumPy's sgemm as their limit, in Python's suite of the same name.
struct CPUSuite {
  private static let shape = [1, 1178, 1536]  // SD3-medium at 512²: 1024 + 154 tokens
  private static let chain = 16  // ops in one package, so that the call itself does not count

  func run(_ onCase: (Int, Int) -> Void) async throws -> BenchReport {
    let library = try EngineLibrary.open()
    let cases = try Self.cases()
    var rows: [BenchRow] = []
    for (index, one) in cases.enumerated() {
      onCase(index, cases.count)
      rows.append(try Self.measure(one.name, one.program, passes: one.passes, library))
    }
    return BenchReport(rows: rows, notes: [])
  }

  private typealias Case = (name: String, program: BenchProgram, passes: Double)

  private static func cases() throws -> [Case] {
    let width = shape[shape.count - 1]
    let ramp = (0..<width).map { Float($0 % 7) / 8 - 0.375 }
    var (adds, products, gelus) = (BenchProgram(shape: shape), BenchProgram(shape: shape), BenchProgram(shape: shape))
    for _ in 0..<chain {
      try adds.apply("add", row: ramp)
      try products.apply("mul", row: [Float](repeating: 1.01, count: width))
      // A chain of GELUs alone ends in subnormals, which the processor converts by microcode.
      gelus.gelu()
      gelus.addInput()
    }
    return [
      ("add a row", adds, Double(chain)), ("multiply by a row", products, Double(chain)),
      ("GELU (tanh), then add", gelus, 2.5 * Double(chain)),
    ]
  }

  /// - Parameter passes: how often the program reads and writes a tensor of the shape.
  private static func measure(
    _ name: String, _ program: BenchProgram, passes: Double, _ library: EngineLibrary
  ) throws -> BenchRow {
    let package = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).mlpackage")
    defer { try? FileManager.default.removeItem(at: package) }
    try program.write(to: package)
    let model = try EngineModel(path: package.path, library: library)
    let values = (0..<shape.reduce(1, *)).map { Float($0 % 251) / 251 - 0.5 }
    let x = try Tensor(shape: shape, floats: values).converted(to: .float16)
    var copy = [UInt8](repeating: 0, count: x.byteCount)
    let pairs = try inTurn(
      { try model.predictBare(["x": x], times: 1) },
      { copy.withUnsafeMutableBytes { target in x.withUnsafeBytes { target.copyMemory(from: $0) } } })
    let moved = 2 * Double(x.byteCount)
    return BenchRow(
      name: name, peer: "memcpy", rate: median(pairs.map { passes * moved / $0.work / 1e9 }),
      limit: median(pairs.map { moved / $0.peer / 1e9 }), ratio: median(pairs.map { passes * $0.peer / $0.work }),
      unit: "GB/s", bar: 0.5)
  }
}
