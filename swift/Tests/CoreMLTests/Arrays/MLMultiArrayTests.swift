import CoreML
import Testing

@Suite struct MLMultiArrayTests {
  @Test func newArraysAreContiguousAndZero() throws {
    let array = try MLMultiArray(shape: [2, 3, 4], dataType: .float32)
    #expect(array.count == 24)
    #expect(array.shape == [2, 3, 4])
    #expect(array.strides == [12, 4, 1])
    #expect((0..<24).allSatisfy { array[$0] == 0 })
  }

  @Test(arguments: [MLMultiArrayDataType.double, .float32, .float16, .int32, .int8])
  func elementsSurvive(_ type: MLMultiArrayDataType) throws {
    let array = try MLMultiArray(shape: [2, 2], dataType: type)
    array[3] = -5
    array[[0, 1]] = 7
    #expect(array[3].intValue == -5)
    #expect(array[[1, 1]].doubleValue == -5)
    #expect(array[1].floatValue == 7)
  }

  @Test func rawValuesAreApples() {
    #expect(
      [MLMultiArrayDataType.double, .float32, .float16, .int32, .int8].map(\.rawValue)
        == [65600, 65568, 65552, 131104, 131080])
    #expect(MLMultiArrayDataType.float64 == .double && MLMultiArrayDataType.float == .float32)
    #expect(MLMultiArrayDataType(rawValue: 3) == nil)
  }

  @Test func subscriptsFollowPaddedStrides() throws {
    var memory: [Float] = [1, 2, 3, -1, 4, 5, 6, -1]
    try memory.withUnsafeMutableBytes { bytes in
      let array = try MLMultiArray(
        dataPointer: #require(bytes.baseAddress), shape: [2, 3], dataType: .float32, strides: [4, 1])
      #expect((0..<6).map { array[$0].intValue } == [1, 2, 3, 4, 5, 6])
      #expect(array[[1, 2]] == 6)
      array[3] = 40
      #expect(array.withUnsafeBytes { $0.count } == 7 * 4)
      array.withUnsafeMutableBytes { bytes, strides in
        #expect(strides == [4, 1])
        bytes.storeBytes(of: 60, toByteOffset: 6 * 4, as: Float.self)
      }
    }
    #expect(memory == [1, 2, 3, -1, 40, 5, 60, -1])
  }

  @Test func theDeallocatorRunsOnceAtTheEnd() throws {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 16)
    var calls: [UnsafeMutableRawPointer] = []
    var array: MLMultiArray? = try MLMultiArray(
      dataPointer: memory, shape: [4], dataType: .int32, strides: [1], deallocator: { calls.append($0) })
    #expect(array?.count == 4)
    #expect(calls.isEmpty)
    array = nil
    #expect(calls == [memory])
    memory.deallocate()
  }

  @Test func vectorsFromCollections() throws {
    let integers = try MLMultiArray([1, 2, 3])
    #expect(integers.dataType == .int32 && integers.shape == [3] && integers[2] == 3)
    #expect(try MLMultiArray([Float(1.5)]).dataType == .float32)
    #expect(try MLMultiArray([1.5])[0].doubleValue == 1.5)
  }

  @Test func concatenates() throws {
    let left = try MLMultiArray(shape: [2, 1], dataType: .int32)
    let right = try MLMultiArray(shape: [2, 2], dataType: .float32)
    for index in 0..<2 { left[index] = NSNumber(value: index + 1) }
    for index in 0..<4 { right[index] = NSNumber(value: 10 * (index + 1)) }
    let joined = MLMultiArray(concatenating: [left, right], axis: -1, dataType: .float16)
    #expect(joined.shape == [2, 3])
    #expect((0..<6).map { joined[$0].intValue } == [1, 10, 20, 2, 30, 40])
    #expect(joined.description.hasPrefix("float16 2 × 3 array [1.0, "))
  }

  @Test func badShapesThrow() throws {
    let negative = try #require(throws: MLModelError.self) { try MLMultiArray(shape: [2, -1], dataType: .int8) }
    #expect(negative.code == .generic)
    #expect(negative.errorDescription?.contains("[2, -1]") == true)
    #expect(throws: MLModelError.self) { try MLMultiArray(shape: [.init(value: Int.max), 4], dataType: .int8) }
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 16)
    defer { memory.deallocate() }
    let strides = try #require(throws: MLModelError.self) {
      try MLMultiArray(dataPointer: memory, shape: [2, 2], dataType: .int32, strides: [1])
    }
    #expect(strides.errorDescription == "a multi-array of shape [2, 2] needs 2 strides, got 1")
  }

  @Test func moreThanThereIsMemoryForThrows() throws {
    let error = try #require(throws: MLModelError.self) {
      try MLMultiArray(shape: [.init(value: 1 << 50), 1], dataType: .double)
    }
    #expect(error.code == .generic)
    #expect(error.errorDescription?.contains("takes \(1 << 53) bytes, which is more memory than there is") == true)
  }

  @Test func liesInAPixelBuffer() throws {
    var made: CVPixelBuffer?
    CVPixelBufferCreate(nil, 3, 4, kCVPixelFormatType_OneComponent16Half, nil, &made)
    let buffer = try #require(made)
    let array = MLMultiArray(pixelBuffer: buffer, shape: [2, 2, 3])
    #expect(array.dataType == .float16 && array.strides == [64, 32, 1])
    #expect(array.pixelBuffer === buffer)
    array[[1, 0, 2]] = 7
    let row = try #require(CVPixelBufferGetBaseAddress(buffer)) + 2 * CVPixelBufferGetBytesPerRow(buffer)
    #expect(row.load(fromByteOffset: 4, as: Float16.self) == 7)
    #expect(try MLMultiArray(shape: [1], dataType: .float16).pixelBuffer == nil)
  }
}
