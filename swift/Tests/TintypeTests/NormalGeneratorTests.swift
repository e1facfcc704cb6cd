import TestSupport
import Testing

@testable import Tintype

/// Draws recorded from NumPy and from PyTorch's CPU generator (tests/data/scripts/make_random.py).
private struct Row: Decodable {
  struct Draw: Decodable {
    let size: Int
    let first: [Float]
    let last: [Float]
    let sum: Double
  }
  let generator: String
  let seed: UInt32
  let draws: [Draw]
}

private struct PhiloxRecord: Decodable {
  struct Row: Decodable {
    let seed: UInt32
    let draw: Int
    let values: [Double]
  }
  /// Counter, key and the words that they give.
  let blocks: [[[UInt32]]]
  let printed: [Double]
  let normals: [Row]
}

@Suite struct NormalGeneratorTests {
  @Test(arguments: [NoiseGenerator.numpy, .torch])
  func drawsAreTheReferencesToTheBit(_ generator: NoiseGenerator) throws {
    let rows = try TestData.decode([Row].self, "random.json").filter { $0.generator == generator.rawValue }
    #expect(rows.count == 54)
    for row in rows {
      var random = generator(seed: row.seed)
      for draw in row.draws {
        let values = random.normals(draw.size).map { Float($0) }
        #expect(Array(values.prefix(8)) == draw.first, "seed \(row.seed), \(draw.size) values")
        #expect(Array(values.suffix(8)) == draw.last, "seed \(row.seed), \(draw.size) values")
        // The recorded sum was added pairwise in float64; a single wrong bit in a value changes it more.
        let sum = values.reduce(0) { $0 + Double($1) }
        #expect(abs(sum - draw.sum) <= 1e-9 * Double(draw.size))
      }
    }
  }

  @Test(arguments: NoiseGenerator.allCases) func noDrawsChangeNothing(_ generator: NoiseGenerator) throws {
    var (a, b) = (generator(seed: 3), generator(seed: 3))
    #expect(a.normals(0).isEmpty)
    #expect(a.normals(-1).isEmpty)
    #expect(a.normals(3) == b.normals(3))
  }

  @Test func numPysStreamIsOneHoweverItIsDrawn() {
    var (a, b) = (NumPyRandom(seed: 3), NumPyRandom(seed: 3))
    #expect(a.normals(3) == b.normals(1) + b.normals(2))
  }

  /// Published answers, and more of the same definition (tests/data/scripts/make_philox.py).
  @Test func philoxIsThePublishedOne() throws {
    let recorded = try TestData.decode(PhiloxRecord.self, "philox.json")
    #expect(recorded.blocks.count == 67)
    for block in recorded.blocks {
      #expect(PhiloxRandom.block(block[0], key: (block[1][0], block[1][1])) == block[2], "counter \(block[0])")
    }
    #expect(recorded.normals.count == 10)
    for row in recorded.normals {
      var random = PhiloxRandom(seed: row.seed)
      for _ in 0..<row.draw { _ = random.normals(64) }
      // The logarithm and the sine are the system's.
      #expect(zip(random.normals(64), row.values).allSatisfy { abs($0 - $1) <= 1e-14 }, "seed \(row.seed)")
    }
  }

  /// `torch.manual_seed(0); torch.randn(8, 8, device="cuda")`, as PyTorch printed it.
  @Test func philoxDrawsWhatCUDADraws() throws {
    let printed = try TestData.decode(PhiloxRecord.self, "philox.json").printed
    var random = PhiloxRandom(seed: UInt32(0))
    #expect(printed.count == 64)
    #expect(zip(random.normals(64), printed).allSatisfy { abs($0 - $1) <= 5.1e-5 })
  }

  @Test func philoxNormalsAreNormal() {
    var random = PhiloxRandom(seed: UInt32(5))
    let (first, second) = (random.normals(20_000), random.normals(20_000))
    #expect(first != second)
    for values in [first, second] {
      let mean = values.reduce(0, +) / Double(values.count)
      let square = values.reduce(0) { $0 + $1 * $1 } / Double(values.count)
      #expect(abs(mean) < 0.03)
      #expect(abs(square - 1) < 0.04)
    }
  }
}
