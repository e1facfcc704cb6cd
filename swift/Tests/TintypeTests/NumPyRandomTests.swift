import Testing
import Tintype

/// Draws recorded from NumPy (tests/data/scripts/make_random.py).
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

@Suite struct NumPyRandomTests {
  @Test func drawsAreNumPysToTheBit() throws {
    let rows = try TestData.decode([Row].self, "random.json").filter { $0.generator == "numpy" }
    #expect(rows.count == 54)
    for row in rows {
      var random = NumPyRandom(seed: row.seed)
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

  @Test func noDrawsChangeNothing() {
    var a = NumPyRandom(seed: 3)
    var b = NumPyRandom(seed: 3)
    #expect(a.normals(0).isEmpty)
    #expect(a.normals(-1).isEmpty)
    #expect(a.normals(3) == b.normals(1) + b.normals(2))
  }
}
