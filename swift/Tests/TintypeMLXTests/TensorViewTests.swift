import Testing

@testable import TintypeMLX

@Suite struct TensorViewTests {
  /// Copies a view of 0, 1, 2, … and tells what it saw.
  private func elements(shape: [Int], strides: [Int], start: Int = 0) throws -> [Int32] {
    let memory = (0..<64).map { Int32($0) }
    return try memory.withUnsafeBufferPointer { buffer in
      let base = try #require(buffer.baseAddress) + start
      let view = TensorView(base: base, elementType: .int32, shape: shape, strides: strides)
      return try Tensor(copying: view).int32s()
    }
  }

  @Test(
    arguments: [
      ([2, 3], [3, 1], 0, [0, 1, 2, 3, 4, 5]),  // contiguous
      ([3, 2], [1, 3], 0, [0, 3, 1, 4, 2, 5]),  // transposed
      ([2, 3], [8, 1], 0, [0, 1, 2, 8, 9, 10]),  // padded rows
      ([2, 3], [-8, -1], 20, [20, 19, 18, 12, 11, 10]),  // reversed
      ([2, 3], [0, 1], 0, [0, 1, 2, 0, 1, 2]),  // broadcast
      ([2, 1, 2], [16, 999, 4], 0, [0, 4, 16, 20]),  // the stride of a single element counts for nothing
      ([2, 2, 2], [32, 8, 1], 0, [0, 1, 8, 9, 32, 33, 40, 41]),
      ([], [], 5, [5]),
      ([0, 3], [3, 1], 0, []),
    ] as [([Int], [Int], Int, [Int32])])
  func copiesInRowMajorOrder(_ shape: [Int], _ strides: [Int], _ start: Int, _ expected: [Int32]) throws {
    #expect(try elements(shape: shape, strides: strides, start: start) == expected)
  }

  @Test(
    arguments: [
      ([2, 3], [3, 1], true), ([2, 3], [4, 1], false), ([3, 2], [1, 3], false), ([1, 3], [77, 1], true),
      ([], [], true), ([0, 2], [5, 9], true), ([2, 2], [2, -1], false),
    ] as [([Int], [Int], Bool)])
  func knowsWhatIsContiguous(_ shape: [Int], _ strides: [Int], _ expected: Bool) {
    withUnsafeBytes(of: 0) { bytes in
      guard let base = bytes.baseAddress else { return }
      #expect(
        TensorView(base: base, elementType: .int8, shape: shape, strides: strides).isContiguous == expected)
    }
  }
}
