import CoreML
import Testing

@Suite struct TensorFunctionTests {
  private let x = MLTensor([-0.5, 0.25, 0.75])

  @Test func otherFunctions() async {
    let acosh = await MLTensor([1.0, 2.0, 3.0]).acosh().floats
    for (one, other) in zip(acosh, [0, 1.316958, 1.7627472] as [Float]) { #expect(abs(one - other) < 1e-6) }
    #expect(await MLTensor([0.0, 1.0, 3.0]).exp2().floats == [1, 2, 8])
    #expect(await MLTensor([4.0, 16.0]).rsqrt().floats == [0.5, 0.25])
    #expect(await MLTensor([0.5, 1.5, 2.5, -0.5]).round().floats == [0, 2, 2, 0])
    #expect(await MLTensor([-2.5, 0.0, 3.0]).sign().floats == [-1, 0, 1])
    #expect(await MLTensor([-1.5, 1.5]).floor().floats == [-2, 1])
    #expect(await MLTensor([-1.5, 1.5]).ceil().floats == [-1, 2])
    #expect(await MLTensor([2.0, 4.0]).reciprocal().floats == [0.5, 0.25])
  }

  @Test func largerAndSmaller() async {
    let (one, other) = (MLTensor([1.0, 3.0, 6.0]), MLTensor([6.0, 3.0, 1.0]))
    #expect(await pointwiseMax(one, other).floats == [6, 3, 6])
    #expect(await pointwiseMin(one, other).floats == [1, 3, 1])
    #expect(await pointwiseMax(one, MLTensor(2.0 as Float)).floats == [2, 3, 6])
    let unknown = MLTensor([Float.nan, 1])
    #expect(await pointwiseMax(unknown, MLTensor([1.0, Float.nan])).floats.allSatisfy(\.isNaN))
    #expect(await pointwiseMin(unknown, MLTensor([1.0, Float.nan])).floats.allSatisfy(\.isNaN))
  }

  @Test func restsHaveTheDividendsSign() async {
    var rest = MLTensor([7.0, -7.0])
    rest %= MLTensor([4.0, 4.0])
    #expect(await rest.floats == [3, -3])
    #expect(await (Float(7) % MLTensor([2.0, 4.0])).floats == [1, 3])
  }

  @Test func truthsAreReduced() async {
    let y = MLTensor.rows([[1, 2, 3], [4, 5, 6]])
    #expect(await (y .> 1).all(alongAxes: [1]).integers == [0, 1])
    #expect(await (y .> 5).any(alongAxes: [0]).integers == [0, 0, 1])
  }

  @Test func matricesAreBroadcast() async {
    let batch = MLTensor(repeating: 1, shape: [3, 1, 1, 4]).matmul(MLTensor(repeating: 2, shape: [4, 2]))
    #expect(batch.shape == [3, 1, 1, 2])
    #expect(await batch.floats == [8, 8, 8, 8, 8, 8])
  }

  @Test func tilesAndReversals() async {
    let y = MLTensor.rows([[1, 2], [3, 4]])
    #expect(await y.tiled(multiples: [2]).floats == [1, 2, 1, 2, 3, 4, 3, 4])
    #expect(y.tiled(multiples: [3, 1, 2]).shape == [3, 2, 4])
    #expect(await y.reversed(alongAxes: [0]).floats == [3, 4, 1, 2])
    #expect(await y.reversed(alongAxes: []).floats == [4, 3, 2, 1])
    #expect(await y.reversed(alongAxes: 1, -1).floats == [2, 1, 4, 3])
  }

  @Test func valuesThatAreNoNumbersHaveAPlace() async {
    let y = MLTensor([2.0, Float.nan, 1.0])
    #expect(await y.argmax().integers == [1])
    #expect(await y.argsort().integers == [2, 0, 1])
    #expect(await y.argsort(descendingOrder: true).integers == [1, 0, 2])
    #expect(await y.topK(2).indices.integers == [1, 0])
  }

  @Test func policiesChangeNothing() async {
    let sum = withMLTensorComputePolicy(.cpuOnly) { x.sum() }
    let later = await withMLTensorComputePolicy(MLComputePolicy(.all)) { await x.sum().floats }
    #expect(await sum.floats == later && later == [0.5])
    #expect(MLComputePolicy.cpuAndGPU != .cpuOnly && "\(MLComputePolicy.cpuOnly)" == "cpuOnly")
  }
}
