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

  /// The known answers that Random123, the authors' library, publishes (tests/kat_vectors, philox4x32, 10 rounds).
  @Test(
    arguments: [
      ([0, 0, 0, 0], [0, 0], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
      (
        [0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff], [0xffff_ffff, 0xffff_ffff],
        [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
      ),
      (
        [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0],
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
      ),
    ] as [([UInt32], [UInt32], [UInt32])])
  func philoxGivesThePublishedAnswers(_ counter: [UInt32], _ key: [UInt32], _ answer: [UInt32]) {
    #expect(PhiloxRandom.block(counter, key: (key[0], key[1])) == answer)
  }

  /// `torch.manual_seed(0); torch.randn(4, device="cuda")`, as PyTorch prints it.
  @Test func philoxDrawsWhatCUDADraws() {
    var random = PhiloxRandom(seed: UInt32(0))
    let printed = [-0.9247, -0.4253, -2.6438, 0.1452]
    #expect(zip(random.normals(4), printed).allSatisfy { abs($0 - $1) <= 5.1e-5 })
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
