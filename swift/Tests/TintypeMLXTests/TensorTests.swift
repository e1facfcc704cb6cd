import Testing

@testable import TintypeMLX

@Suite struct TensorTests {
  @Test func knowsItsExtent() throws {
    let tensor = try Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6])
    #expect(tensor.count == 6)
    #expect(tensor.byteCount == 24)
    #expect(tensor.elementType == .float32)
    #expect(tensor.floats() == [1, 2, 3, 4, 5, 6])
  }

  @Test func scalarsAndEmptyTensorsAreLegal() throws {
    #expect(try Tensor(shape: [], floats: [7]).floats() == [7])
    #expect(try Tensor(shape: [0, 4], floats: []).floats() == [])
    #expect(try Tensor.zeros(shape: [3], elementType: .int64).int32s() == [0, 0, 0])
  }

  @Test(arguments: ElementType.allCases)
  func smallNumbersSurviveEveryType(_ type: ElementType) throws {
    let values: [Float] = type == .bool ? [0, 1, 1] : [0, 1, 100]
    let tensor = try Tensor(shape: [3], floats: values).converted(to: type)
    #expect(tensor.elementType == type)
    #expect(tensor.byteCount == 3 * type.size)
    #expect(tensor.floats() == values)
    #expect(tensor.int32s() == values.map { Int32($0) })
    #expect(tensor.doubles() == values.map { Double($0) })
    #expect(try tensor.converted(to: .float32).floats() == values)
  }

  @Test func conversionTakesTheNearestValue() throws {
    let tensor = try Tensor(shape: [5], floats: [-1.9, 300, .nan, 1e20, -1e20])
    #expect(try tensor.converted(to: .int8).int32s() == [-1, 127, 0, 127, -128])
    #expect(try tensor.converted(to: .uint8).int32s() == [0, 255, 0, 255, 0])
    #expect(tensor.int32s() == [-1, 300, 0, .max, .min])
    let wide = try Tensor(shape: [1], elementType: .int64) { $0.storeBytes(of: Int64.max, as: Int64.self) }
    #expect(wide.int32s() == [.max])
  }

  @Test func halvesKeepTheirBits() throws {
    let tensor = try Tensor(shape: [3], float16Bits: [0x3c00, 0x7c00, 0x8001])
    #expect(tensor.float16Bits() == [0x3c00, 0x7c00, 0x8001])
    #expect(tensor.floats()[0] == 1)
    #expect(try Tensor(shape: [2], int32s: [2, -2]).float16Bits() == [0x4000, 0xc000])
  }

  @Test func largeIntegersSurvive() throws {
    let tensor = try Tensor(shape: [2], int32s: [16_777_217, -2_147_483_648])
    #expect(try tensor.converted(to: .int64).int32s() == [16_777_217, -2_147_483_648])
    #expect(try tensor.converted(to: .float64).int32s() == [16_777_217, -2_147_483_648])
  }

  @Test func conversionToItsOwnTypeSharesTheStorage() throws {
    let tensor = try Tensor(shape: [1], floats: [1])
    #expect(try tensor.converted(to: .float32).view.base == tensor.view.base)
    #expect(try tensor.reshaped(to: [1, 1]).view.base == tensor.view.base)
  }

  @Test func takenMemoryIsReleasedWithTheLastTensor() throws {
    let released = Locked(0)
    let base = UnsafeMutableRawPointer.allocate(byteCount: 4, alignment: 4)
    base.storeBytes(of: 42, as: Float.self)
    nonisolated(unsafe) let memory = base
    var tensor: Tensor? = try Tensor(shape: [1], elementType: .float32, taking: base) {
      memory.deallocate()
      released.withLock { $0 += 1 }
    }
    var copy = try tensor?.reshaped(to: [1, 1])
    tensor = nil
    #expect(released.withLock { $0 } == 0)
    #expect(copy?.floats() == [42])
    copy = nil
    #expect(released.withLock { $0 } == 1)
  }

  @Test(arguments: [
    (
      TensorError.elementCount(shape: [2, 3], expected: 6, actual: 5),
      "a tensor of shape [2, 3] holds 6 elements, got 5"
    ),
    (
      .byteCount(shape: [2], elementType: .float16, expected: 4, actual: 3),
      "a float16 tensor of shape [2] takes 4 bytes, got 3"
    ),
    (
      .outOfMemory(shape: [9], byteCount: 36),
      "a tensor of shape [9] takes 36 bytes, which is more memory than there is"
    ),
    (
      .invalidShape([-1]),
      "[-1] is no shape: extents must not be negative and their product must fit the address space"
    ),
  ])
  func errorsNameBothValues(_ error: TensorError, _ text: String) {
    #expect(error.description == text)
  }

  @Test func refusesWhatDoesNotFit() {
    #expect(throws: TensorError.elementCount(shape: [2, 3], expected: 6, actual: 5)) {
      try Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5])
    }
    #expect(throws: TensorError.outOfMemory(shape: [1 << 60], byteCount: 1 << 60)) {
      try Tensor.zeros(shape: [1 << 60], elementType: .int8)
    }
    #expect(throws: TensorError.invalidShape([2, -3])) { try Tensor(shape: [2, -3], floats: []) }
    #expect(throws: TensorError.invalidShape([.max, 2])) { try Tensor.zeros(shape: [.max, 2], elementType: .int8) }
    #expect(throws: TensorError.invalidShape([.max / 2])) { try Tensor.zeros(shape: [.max / 2], elementType: .float64) }
    #expect(throws: TensorError.byteCount(shape: [2], elementType: .float16, expected: 4, actual: 3)) {
      try [UInt8](repeating: 0, count: 3).withUnsafeBytes {
        try Tensor(shape: [2], elementType: .float16, bytes: $0)
      }
    }
  }
}
