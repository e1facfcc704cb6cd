import CoreML
import Testing

/// NumPy's `pad` gives the expected numbers.
@Suite struct TensorPaddingTests {
  private let x = MLTensor.rows([[1, 2, 3], [4, 5, 6]])

  @Test func constants() async {
    let padded = x.padded(forSizes: [(0, 1), (2, 0)], with: 9)
    #expect(padded.shape == [3, 5])
    #expect(await padded.floats == [9, 9, 1, 2, 3, 9, 9, 4, 5, 6, 9, 9, 9, 9, 9])
    #expect(await x.padded(forSizes: [(0, 0), (0, 0)], mode: .constant(1)).floats == x.floats)
    let integers = MLTensor([1, 2], scalarType: Int32.self).padded(forSizes: [(1, 1)], with: -1)
    #expect(integers.holds(Int32.self))
    #expect(await integers.integers == [-1, 1, 2, -1])
    #expect(await MLTensor(zeros: [0], scalarType: Float.self).padded(forSizes: [(1, 1)], with: 2).floats == [2, 2])
  }

  @Test func mirrors() async {
    let reflected = x.padded(forSizes: [(1, 2), (4, 3)], mode: .reflection)
    #expect(reflected.shape == [5, 10])
    #expect(
      await reflected.floats == [
        4, 5, 6, 5, 4, 5, 6, 5, 4, 5, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 4, 5, 6, 5, 4, 5, 6, 5, 4, 5, 1, 2, 3, 2, 1, 2, 3,
        2, 1, 2, 4, 5, 6, 5, 4, 5, 6, 5, 4, 5,
      ])
    let repeated = x.padded(forSizes: [(1, 2), (4, 3)], mode: .symmetric)
    #expect(
      await repeated.floats == [
        3, 3, 2, 1, 1, 2, 3, 3, 2, 1, 3, 3, 2, 1, 1, 2, 3, 3, 2, 1, 6, 6, 5, 4, 4, 5, 6, 6, 5, 4, 6, 6, 5, 4, 4, 5, 6,
        6, 5, 4, 3, 3, 2, 1, 1, 2, 3, 3, 2, 1,
      ])
    #expect(await MLTensor([7.0]).padded(forSizes: [(1, 2)], mode: .reflection).floats == [7, 7, 7, 7])
  }

  @Test func modesAreValues() {
    #expect(MLTensor.PaddingMode.constant(1) == .constant(1) && MLTensor.PaddingMode.reflection != .symmetric)
    #expect("\(MLTensor.PaddingMode.constant(1)) \(MLTensor.PaddingMode.symmetric)" == "constant(1.0) symmetric")
  }
}

/// The formulas that PyTorch's `interpolate` documents give the expected numbers.
@Suite struct TensorResizingTests {
  private let picture = MLTensor(shape: [1, 2, 2], scalars: [1, 2, 3, 4])

  @Test func nearestPixels() async {
    let resized = MLTensor(shape: [1, 1, 2, 2], scalars: [1, 0, 0, 1]).resized(to: (4, 4))
    #expect(resized.shape == [1, 1, 4, 4])
    #expect(await resized.floats == [1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1])
    #expect(await picture.resized(to: (1, 3), method: .nearestNeighbor).floats == [1, 1, 2])
    let infinite = MLTensor(shape: [1, 1, 2], scalars: [Float.infinity, 1])
    #expect(await infinite.resized(to: (1, 4)).floats == [.infinity, .infinity, 1, 1])
  }

  @Test func betweenPixels() async {
    #expect(
      await picture.resized(to: (4, 4), method: .bilinear()).floats
        == [1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4])
    #expect(
      await picture.resized(to: (3, 3), method: .bilinear(alignCorners: true)).floats
        == [1, 1.5, 2, 2, 2.5, 3, 3, 3.5, 4])
    #expect(await picture.resized(to: (1, 1), method: .bilinear()).floats == [2.5])
    #expect(await picture.resized(to: (1, 1), method: .bilinear(alignCorners: true)).floats == [1])
    let channels = MLTensor(shape: [2, 1, 2], scalars: [0, 4, 10, 14]).resized(
      to: (1, 3), method: .bilinear(alignCorners: true))
    #expect(await channels.floats == [0, 2, 4, 10, 12, 14])
  }

  @Test func methodsAreValues() {
    #expect(MLTensor.ResizeMethod.bilinear() == .bilinear(alignCorners: false))
    #expect("\(MLTensor.ResizeMethod.nearestNeighbor)" == "nearestNeighbor")
  }
}
