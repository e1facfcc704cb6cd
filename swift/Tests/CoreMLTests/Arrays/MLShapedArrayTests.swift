import CoreML
import Testing

@Suite struct MLShapedArrayTests {
  private let matrix = MLShapedArray<Float>(scalars: [1, 2, 3, 4, 5, 6], shape: [2, 3])

  @Test func memoryIsGivenAndTaken() {
    let filled = MLShapedArray<Int32>(unsafeUninitializedShape: [2, 2]) { pointer, strides in
      for row in 0..<2 { for column in 0..<2 { pointer[row * strides[0] + column * strides[1]] = Int32(row - column) } }
    }
    #expect(filled.scalars == [0, -1, 1, 0])
    let bytes = [Float]([1, 2, 3, -1, 4, 5, 6, -1]).withUnsafeBytes { Data($0) }
    #expect(MLShapedArray<Float>(data: bytes, shape: [2, 3], strides: [4, 1]) == matrix)
    #expect(MLShapedArray<Float>(data: bytes, shape: [4]).scalars == [1, 2, 3, -1])
  }

  @Test func lentMemoryIsNeverWritten() {
    let memory = UnsafeMutablePointer<Float>.allocate(capacity: 6)
    memory.update(repeating: 1, count: 6)
    nonisolated(unsafe) var released = 0
    do {
      var array = MLShapedArray<Float>(
        bytesNoCopy: memory, shape: [2, 3], deallocator: .custom { _, _ in released += 1 })
      #expect(array.scalars == [1, 1, 1, 1, 1, 1])
      array[scalarAt: 1, 2] = 9
      #expect(array.scalars == [1, 1, 1, 1, 1, 9])
    }
    #expect(released == 1)
    #expect(memory[5] == 1)
    memory.deallocate()
  }

  @Test func copiesAreIndependent() {
    var copy = matrix
    copy[scalarAt: 0, 0] = 10
    copy[1].fill(with: 0)
    #expect(copy.scalars == [10, 2, 3, 0, 0, 0])
    #expect(matrix.scalars == [1, 2, 3, 4, 5, 6])
    #expect(copy != matrix)
  }

  @Test func slicesAreParts() {
    #expect(matrix[1].shape == [3] && matrix[1].scalars == [4, 5, 6])
    #expect(matrix[1, 2].scalar == 6)
    #expect(matrix[scalarAt: 1, 0] == 4)
    #expect(matrix[0..<2, 1..<3].scalars == [2, 3, 5, 6])
    #expect(matrix[0..., ...1].scalars == [1, 2, 4, 5])
    #expect(matrix[..<1, 1...].scalars == [2, 3])
    #expect(matrix.map(\.scalars) == [[1, 2, 3], [4, 5, 6]])
    #expect(matrix.count == 2 && matrix.last?.scalars == [4, 5, 6])
    let rest = matrix[1..<2]
    #expect(rest.startIndex == 1 && rest[1].scalars == [4, 5, 6])
  }

  @Test func fillingRepeatsTheScalars() {
    var array = matrix
    array.fill(with: [7, 8, 9])
    #expect(array.scalars == [7, 8, 9, 7, 8, 9])
    #expect(matrix.expandingShape(at: -1).shape == [2, 3, 1])
  }

  @Test func mutablePointersHaveTheLayoutThatWasAskedFor() {
    var array = matrix
    array.withUnsafeMutableShapedBufferPointer(using: .strides([4, 1])) { pointer, shape, strides in
      #expect(shape == [2, 3] && strides == [4, 1])
      pointer[4] = 40
    }
    #expect(array.scalars == [1, 2, 3, 40, 5, 6])
  }

  @Test func multiArraysConvertBothWays() throws {
    let multi = MLMultiArray(matrix.transposed())
    #expect(multi.shape == [3, 2] && multi.dataType == .float32 && multi[1] == 4)
    #expect(MLShapedArray<Float>(multi) == matrix.transposed())
    #expect(MLShapedArray<Int32>(converting: multi).scalars == [1, 4, 2, 5, 3, 6])
    #expect(MLMultiArray(matrix[1]).shape == [3])
    var shaped = MLShapedArray<Float>(multi)
    shaped[scalarAt: 0, 0] = 99
    #expect(multi[0] == 1)
    let value = MLFeatureValue(shapedArray: matrix)
    #expect(value.shapedArrayValue(of: Float.self) == matrix)
    #expect(value.shapedArrayValue(of: Double.self) == nil)
  }

  @Test func encodesAndDecodes() throws {
    let data = try JSONEncoder().encode(matrix)
    #expect(try JSONDecoder().decode(MLShapedArray<Float>.self, from: data) == matrix)
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(MLShapedArray<Float>.self, from: Data(#"{"shape":[-1],"scalars":[]}"#.utf8))
    }
  }
}
