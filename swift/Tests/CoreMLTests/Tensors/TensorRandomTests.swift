import CoreML
import Testing

@Suite struct TensorRandomTests {
  /// Recorded from the published SplitMix64 with the seed 42: its upper 53 bits as shares of 1.
  @Test func aSeedGivesPublishedNumbers() async {
    let uniform = MLTensor(randomUniform: [4], seed: 42, scalarType: Float.self)
    #expect(await uniform.floats == [0.74156487, 0.1599104, 0.27860114, 0.34419072])
    let normal = await MLTensor(randomNormal: [2, 2], seed: 42, scalarType: Float.self).floats
    for (one, other) in zip(normal, [0.8822489, 1.3884733, -0.45084986, 0.67071646] as [Float]) {
      #expect(abs(one - other) < 1e-6)
    }
  }

  @Test func seedsDiffer() async {
    func draw(_ seed: UInt64?) async -> [Float] {
      await MLTensor(randomNormal: [16], seed: seed, scalarType: Float.self).floats
    }
    #expect(await draw(1) == draw(1))
    #expect(await draw(1) != draw(2))
    #expect(await draw(nil) != draw(nil))
  }

  @Test func normalNumbersFollowTheDistribution() async {
    let numbers = await MLTensor(randomNormal: [10_001], mean: 3, standardDeviation: 2, seed: 7, scalarType: Float.self)
      .floats
    let mean = numbers.reduce(0, +) / 10_001
    let variance = numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 10_001
    // Five standard errors: 2/√n of the mean, √2·4/√n of the variance.
    #expect(abs(mean - 3) < 0.1 && abs(variance - 4) < 0.29)
    #expect(abs(Float(numbers.count { abs($0 - 3) < 2 }) / 10_001 - 0.6827) < 0.024)
  }

  @Test func boundsAreKept() async {
    let floats = await MLTensor(randomUniform: [5000], in: -2..<3, seed: 5, scalarType: Float.self).floats
    #expect(floats.allSatisfy { (-2..<3).contains($0) })
    #expect(abs(floats.reduce(0, +) / 5000 - 0.5) < 0.11)
    // Half precision would round the largest shares up to 1.
    let halves = await MLTensor(randomUniform: [40_000], seed: 5, scalarType: Float16.self).floats
    #expect(halves.allSatisfy { (0..<1).contains($0) })
    let dice = await MLTensor(randomUniform: [6000], in: 1...6, seed: 5, scalarType: Int32.self).integers
    for face in Int32(1)...6 { #expect(abs(dice.count { $0 == face } - 1000) < 145) }
    #expect(Set(dice) == Set(1...6))
    #expect(Set(await MLTensor(randomUniform: [64], seed: 1, scalarType: UInt8.self).integers) == [0, 1])
    #expect(await MLTensor(randomUniform: [2], in: 4...4, scalarType: Int32.self).integers == [4, 4])
  }

  @Test func shapesMayBeEmpty() {
    #expect(MLTensor(randomNormal: [2, 0], scalarType: Float.self).scalarCount == 0)
    #expect(MLTensor(randomNormal: [], scalarType: Float.self).isScalar)
  }
}
