import CoreML
import Testing

@Suite struct TensorIndexTests {
  private let x = MLTensor.rows([[0, 1, 2], [10, 11, 12], [20, 21, 22]])

  private func indices(_ shape: [Int], _ scalars: [Int32]) -> MLTensor {
    MLTensor(shape: shape, scalars: scalars, scalarType: Int32.self)
  }

  @Test func partsAreGatheredAlongAnAxis() async {
    #expect(await x.gathering(atIndices: indices([2], [2, 1]), alongAxis: 1).floats == [2, 1, 12, 11, 22, 21])
    let pairs = x.gathering(atIndices: indices([1, 2], [-1, 0]), alongAxis: 0)
    #expect(pairs.shape == [1, 2, 3])
    #expect(await pairs.floats == [20, 21, 22, 0, 1, 2])
  }

  @Test func vectorsOfIndicesAreLookedUp() async {
    #expect(await x.gathering(atIndices: indices([2, 2], [0, 0, 1, -1])).floats == [0, 12])
    let rows = x.gathering(atIndices: indices([2, 1], [2, 1]))
    #expect(rows.shape == [2, 3])
    #expect(await rows.floats == [20, 21, 22, 10, 11, 12])
    let scalar = x.gathering(atIndices: indices([2], [2, 1]))
    #expect(scalar.isScalar)
    #expect(await scalar.floats == [21])
    let cube = MLTensor(shape: [2, 2, 2], scalars: (0..<8).map(Float.init))
    let picked = cube.gathering(atIndices: indices([1, 2, 2], [0, 1, 1, 0]))
    #expect(picked.shape == [1, 2, 2])
    #expect(await picked.floats == [2, 3, 4, 5])
  }

  @Test func scalarsAreReplacedAtIndices() async {
    let y = MLTensor.rows([[10, 30, 20], [60, 40, 50]])
    let places = indices([2, 1], [1, 0])
    #expect(await y.replacing(atIndices: places, with: Float(99), alongAxis: 1).floats == [10, 99, 20, 99, 40, 50])
    let updates = MLTensor.rows([[1], [2]])
    #expect(await y.replacing(with: updates, atIndices: places, alongAxis: -1).floats == [10, 1, 20, 2, 40, 50])
    let columns = indices([1, 3], [1, 0, 1])
    #expect(
      await y.replacing(with: MLTensor.rows([[1, 2, 3]]), atIndices: columns, alongAxis: 0).floats
        == [10, 2, 20, 1, 40, 3])
    let repeated = indices([2, 2], [0, 0, 2, 2])
    #expect(
      await y.replacing(with: MLTensor.rows([[1, 2], [3, 4]]), atIndices: repeated, alongAxis: 1).floats
        == [2, 30, 20, 60, 40, 4])
    #expect(y.replacing(atIndices: indices([2, 0], []), with: Float(1), alongAxis: 1).shape == [2, 3])
  }

  @Test func scalarsAreReplacedByAMask() async {
    let z = MLTensor([1.0, 2.0, 3.0])
    let mask = MLTensor([false, true, false])
    #expect(await z.replacing(with: MLTensor([4.0, 5.0, 6.0]), where: mask).floats == [1, 5, 3])
    #expect(await z.replacing(with: Float(5), where: mask).floats == [1, 5, 3])
  }

  @Test func rangesHaveStridesAndNames() async {
    #expect(await x[.range(0..<3, stride: 2), 1].floats == [1, 21])
    #expect(await x[1, .closedRange(0...2, stride: 2)].floats == [10, 12])
    #expect(await x[.partialRangeFrom(1...), .partialRangeUpTo(..<2, stride: 2)].floats == [10, 20])
    #expect(await x[.index(-1), .partialRangeUpTo(...1)].floats == [20, 21])
    #expect(await x[0, ..<(-1)].floats == [0, 1])
    #expect(await x[(-2)..., 0].floats == [10, 20])
    #expect(await x[0, 1...(-1 + 3)].floats == [1, 2])
  }

  @Test func theEllipsisStandsForTheOtherAxes() async {
    let y = MLTensor(shape: [1, 3, 2, 2], scalars: (0..<12).map(Float.init))
    #expect(y[..., 0].shape == [1, 3, 2])
    #expect(await y[..., 0].floats == [0, 2, 4, 6, 8, 10])
    #expect(y[.newAxis, ...].shape == [1, 1, 3, 2, 2])
    #expect(y[.squeezeAxis, ...].shape == [3, 2, 2])
    #expect(y[0, ..., 1].shape == [3, 2])
    #expect(await y[0, 1, ..., 1].floats == [5, 7])
    #expect(await y[0, 1, 0, ...].floats == [4, 5])
    #expect(y[.fillAll, 0].shape == [1, 3, 2] && y[nil, 1, ..., .newAxis].shape == [1, 2, 2, 1])
    #expect(y[...].shape == y.shape)
  }
}
