import CoreML
import Testing

/// Arrays as apps make, cut and join them.
@Suite struct ShapedArrayTests {
  private let matrix = MLShapedArray<Float>(scalars: [1, 2, 3, 4, 5, 6], shape: [2, 3])

  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  @Test func initialisersFillTheShape() {
    #expect(matrix.shape == [2, 3] && matrix.strides == [3, 1] && matrix.scalarCount == 6)
    #expect(matrix.scalars == [1, 2, 3, 4, 5, 6])
    #expect(MLShapedArray<Int32>(repeating: 7, shape: [2, 2]).scalars == [7, 7, 7, 7])
    #expect(MLShapedArray<Double>(identityMatrixOfSize: 2).scalars == [1, 0, 0, 1])
    let literal: MLShapedArray<Float16> = [1, 2]
    #expect(literal.shape == [2] && literal.scalars == [1, 2])
    let random = MLShapedArray<Float>(randomScalarsIn: 2..<3, shape: [8])
    #expect(random.scalars.allSatisfy { (2..<3).contains($0) })
    let scalar = MLShapedArray<Float>(scalar: 5)
    #expect(scalar.isScalar && scalar.scalar == 5 && scalar.shape.isEmpty && matrix.scalar == nil)
  }

  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  @Test func slicesCanBeAssigned() {
    var array = MLShapedArray<Float>(repeating: 0, shape: [3, 2])
    array[1] = MLShapedArraySlice(scalars: [5, 6], shape: [2])
    array[2..<3] = MLShapedArraySlice(scalars: [7, 8], shape: [1, 2])
    array[0..<3, 0..<1] = MLShapedArraySlice(scalars: [1, 2, 3], shape: [3, 1])
    #expect(array.scalars == [1, 0, 2, 6, 3, 8])
  }

  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  @Test func shapesChange() {
    #expect(matrix.transposed().shape == [3, 2] && matrix.transposed().scalars == [1, 4, 2, 5, 3, 6])
    #expect(matrix.transposed().reshaped(to: [6]).scalars == [1, 4, 2, 5, 3, 6])
    #expect(matrix.transposed(permutation: [0, 1]) == matrix)
    #expect(matrix.expandingShape(at: 0).shape == [1, 2, 3])
    #expect(matrix.expandingShape(at: 2).squeezingShape() == matrix)
    let columns = matrix.changingLayout(to: .lastMajorContiguous)
    #expect(columns.strides == [1, 2] && columns == matrix)
    columns.withUnsafeShapedBufferPointer { pointer, shape, strides in
      #expect(Array(pointer) == [1, 4, 2, 5, 3, 6] && shape == [2, 3] && strides == [1, 2])
    }
  }

  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  @Test func joinsAlongAnAxis() {
    let joined = MLShapedArray<Float>(concatenating: [matrix, matrix], alongAxis: 1)
    #expect(joined.shape == [2, 6] && joined[0].scalars == [1, 2, 3, 1, 2, 3])
  }
}
