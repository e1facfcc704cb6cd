import CoreML
import Testing

@Suite struct MLTensorTests {
  private func floats(_ tensor: MLTensor) async -> [Float] { await tensor.shapedArray(of: Float.self).scalars }
  private func integers(_ tensor: MLTensor) async -> [Int32] { await tensor.shapedArray(of: Int32.self).scalars }

  /// `#expect` cannot compare metatypes itself.
  private func holds(_ tensor: MLTensor, _ type: any MLTensorScalar.Type) -> Bool { tensor.scalarType == type }

  private let matrix = MLTensor(shape: [2, 3], scalars: [1, 2, 3, 4, 5, 6], scalarType: Float.self)

  @Test func knowsItsShapeAndType() async {
    #expect(matrix.shape == [2, 3] && matrix.rank == 2 && matrix.scalarCount == 6 && !matrix.isScalar)
    #expect(holds(matrix, Float.self))
    #expect(holds(MLTensor([1, 2] as [Int32]), Int32.self))
    #expect(holds(MLTensor(true), Bool.self) && MLTensor(Float16(1)).isScalar)
    #expect(await floats(MLTensor(MLShapedArray<Float>(scalars: [1, 2], shape: [2, 1]))) == [1, 2])
    #expect(await floats(MLTensor(zeros: [2], scalarType: Float.self)) == [0, 0])
    #expect(await floats(MLTensor(ones: [2], scalarType: Float16.self)) == [1, 1])
    #expect(await floats(MLTensor(repeating: 3, shape: [2])) == [3, 3])
    #expect(await integers(MLTensor(rangeFrom: 1, to: 7, by: 2, scalarType: Int32.self)) == [1, 3, 5])
    #expect(await floats(MLTensor(linearSpaceFrom: 0, through: 1, count: 3)) == [0, 0.5, 1])
    #expect(await integers(MLTensor([1.9, -1.9] as [Float]).cast(to: Int32.self)) == [1, -1])
  }

  @Test func changesItsShape() async {
    #expect(await floats(matrix.transposed()) == [1, 4, 2, 5, 3, 6])
    #expect(matrix.reshaped(to: [3, -1]).shape == [3, 2] && matrix.flattened().shape == [6])
    #expect(matrix.expandingShape(at: 0, -1).shape == [1, 2, 3, 1])
    #expect(matrix.expandingShape(at: 0).squeezingShape(at: 0).shape == [2, 3])
    #expect(MLTensor(zeros: [1, 2, 1], scalarType: Float.self).squeezingShape().shape == [2])
    #expect(await floats(matrix.reversed(alongAxes: 1)) == [3, 2, 1, 6, 5, 4])
    #expect(await floats(matrix.concatenated(with: matrix, alongAxis: 1)) == [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6])
    #expect(MLTensor(stacking: [matrix, matrix], alongAxis: -1).shape == [2, 3, 2])
    #expect(await floats(matrix.tiled(multiples: [1, 2])).prefix(6) == [1, 2, 3, 1, 2, 3])
    #expect(matrix.split(count: 3, alongAxis: 1).map(\.shape) == [[2, 1], [2, 1], [2, 1]])
    #expect(await floats(matrix.split(sizes: [1, 2], alongAxis: 1)[1]) == [2, 3, 5, 6])
    #expect(await floats(matrix.unstacked(alongAxis: 1)[2]) == [3, 6])
    #expect(await floats(matrix.gathering(atIndices: MLTensor([2, 0] as [Int32]), alongAxis: 1)) == [3, 1, 6, 4])
  }

  @Test func partsAreSubscripts() async {
    #expect(await floats(matrix[1]) == [4, 5, 6])
    #expect(await floats(matrix[nil, 1...]) == [2, 3, 5, 6])
    #expect(await floats(matrix[-1, 0..<2]) == [4, 5])
    #expect(await floats(matrix[0...1, ..<1]) == [1, 4])
  }

  @Test func computes() async {
    #expect(await floats(matrix + 1) == [2, 3, 4, 5, 6, 7])
    #expect(await floats(2 * matrix - matrix) == [1, 2, 3, 4, 5, 6])
    #expect(await floats(matrix / MLTensor([1, 2, 4] as [Float])) == [1, 1, 0.75, 4, 2.5, 1.5])
    #expect(await floats(matrix * MLTensor(shape: [2, 1], scalars: [10, 1])) == [10, 20, 30, 4, 5, 6])
    #expect(await integers(MLTensor([7, -7] as [Int32]) / Int32(2)) == [3, -3])
    #expect(await floats(-matrix[0]) == [-1, -2, -3])
    #expect(holds(MLTensor([1] as [Int32]) + MLTensor([0.5] as [Float]), Float.self))
    #expect(holds(matrix + 1, Float.self))
    #expect(await floats(MLTensor([4, 9] as [Float]).squareRoot()) == [2, 3])
    #expect(await floats(MLTensor([-2, 0.5, 2] as [Float]).clamped(to: -1...1)) == [-1, 0.5, 1])
    #expect(await floats(MLTensor([1, 2] as [Float]).pow(Float(3))) == [1, 8])
    let exponents = await floats(MLTensor([0, 1] as [Float]).exp())
    #expect(exponents[0] == 1 && abs(exponents[1] - 2.7182817) < 1e-6)
    #expect(await floats(matrix.matmul(matrix.transposed())) == [14, 32, 32, 77])
    let batch = MLTensor(stacking: [matrix, matrix * 2]).matmul(MLTensor(ones: [3, 1], scalarType: Float.self))
    #expect(batch.shape == [2, 2, 1])
    #expect(await floats(batch) == [6, 15, 12, 30])
  }

  @Test func comparesAndChooses() async {
    let mask = matrix .> 3
    #expect(holds(mask, Bool.self))
    #expect(await integers(mask) == [0, 0, 0, 1, 1, 1])
    #expect(await floats(matrix.replacing(with: Float(0), where: mask)) == [1, 2, 3, 0, 0, 0])
    #expect(await integers((matrix .<= 2) .| (matrix .== 6)) == [1, 1, 0, 0, 0, 1])
    #expect(await integers(.!mask .& (matrix .!= 1)) == [0, 1, 1, 0, 0, 0])
    #expect(await integers(mask.any()) == [1])
    #expect(await integers(mask.all(alongAxes: 1)) == [0, 1])
  }

  @Test func reduces() async {
    #expect(await floats(matrix.sum()) == [21])
    #expect(await floats(matrix.sum(alongAxes: 0)) == [5, 7, 9])
    #expect(matrix.mean(alongAxes: 1, keepRank: true).shape == [2, 1])
    #expect(await floats(matrix.mean(alongAxes: -1)) == [2, 5])
    #expect(await floats(matrix.max(alongAxes: 1)) == [3, 6])
    #expect(await floats(matrix.min()) == [1])
    #expect(await floats(matrix.product(alongAxes: 1)) == [6, 120])
    #expect(await integers(matrix.argmax()) == [5])
    #expect(await integers(matrix.argmin(alongAxis: 0)) == [0, 0, 0])
    #expect(await floats(matrix.cumulativeSum(alongAxis: 1)) == [1, 3, 6, 4, 9, 15])
    #expect(await floats(matrix.cumulativeSum(alongAxis: 0)) == [1, 2, 3, 5, 7, 9])
    let (values, indices) = MLTensor([3, 1, 3, 2] as [Float]).topK(3)
    #expect(await floats(values) == [3, 3, 2])
    #expect(await integers(indices) == [0, 2, 3])
    #expect(await integers(MLTensor([3, 1, 2] as [Float]).argsort()) == [1, 2, 0])
    let shares = await floats(MLTensor([0, 0, 1000] as [Float]).softmax())
    #expect(shares == [0, 0, 1])
  }

  @Test func modelsTakeAndGiveTensors() async throws {
    let outputs = try await Compiled("multi_output").model().prediction(from: ["x": matrix])
    #expect(Set(outputs.keys) == ["negated", "squared", "total"])
    #expect(await floats(try #require(outputs["total"])) == [6, 15])
    let ids = try await Compiled("integer").model().prediction(from: [
      "ids": MLTensor(shape: [1, 5], scalars: [1, 2, 3, 4, 5], scalarType: Int32.self)
    ])
    #expect(await integers(try #require(ids["doubled"])) == [2, 4, 6, 8, 10])
    let model = try Compiled("stateful").model()
    let state = model.makeState()
    let step = MLTensor([1, 2] as [Float16], scalarType: Float16.self)
    let result = try await model.prediction(from: ["x": step], using: state)
    #expect(await floats(try #require(result["y"])) == [1, 2])
  }
}
