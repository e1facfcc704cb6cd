import CoreML
import Testing

@Suite struct PixelBackedArrayTests {
  private func pixels(_ width: Int, _ height: Int) throws -> CVPixelBuffer {
    var buffer: CVPixelBuffer?
    CVPixelBufferCreate(kCFAllocatorDefault, width, height, kCVPixelFormatType_OneComponent16Half, nil, &buffer)
    return try #require(buffer)
  }

  private func first(_ buffer: CVPixelBuffer) -> Float16? {
    CVPixelBufferLockBaseAddress(buffer, .readOnly)
    defer { CVPixelBufferUnlockBaseAddress(buffer, .readOnly) }
    return CVPixelBufferGetBaseAddress(buffer)?.load(as: Float16.self)
  }

  @Test func changesReachThePixelsUntilAnArrayIsShared() throws {
    let buffer = try pixels(4, 6)
    var array = MLShapedArray<Float16>(mutating: buffer, shape: [2, 3, 4])
    array[scalarAt: 0, 0, 0] = 42
    #expect(first(buffer) == 42)
    #expect(array.withPixelBufferIfAvailable { $0 === buffer } == true)
    let copy = array
    array[scalarAt: 0, 0, 0] = 7
    #expect(copy[scalarAt: 0, 0, 0] == 42 && array[scalarAt: 0, 0, 0] == 7 && first(buffer) == 42)
    #expect(array.withMutablePixelBufferIfAvailable { _ in true } == nil)
    #expect(MLShapedArray<Float16>(repeating: 1, shape: [2]).withPixelBufferIfAvailable { _ in true } == nil)
  }

  @Test func shapedArraysConvert() {
    let floats = MLShapedArray<Float>(scalars: [1.9, -1.9, 3], shape: [3])
    #expect(MLShapedArray<Int32>(converting: floats).scalars == [1, -1, 3])
    #expect(MLShapedArray<Double>(converting: floats[1..<3]).scalars == [Double(Float(-1.9)), 3])
  }

  /// Memory of a few bytes is given back no earlier than that of many.
  @Test(arguments: [1, 3, 4, 100]) func lentMemoryLivesAsLongAsTheArray(_ count: Int) {
    let memory = UnsafeMutablePointer<Float>.allocate(capacity: count)
    memory.update(repeating: 2, count: count)
    nonisolated(unsafe) var released = 0
    do {
      let array = MLShapedArray<Float>(
        bytesNoCopy: memory, shape: [count], deallocator: .custom { _, _ in released += 1 })
      memory[0] = 5
      #expect(released == 0 && array[scalarAt: 0] == 5)
    }
    #expect(released == 1)
    memory.deallocate()
  }

  @Test func sequencesMayBeLonger() {
    let counted = MLShapedArray<Int32>(scalars: 0..., shape: [2, 2])
    #expect(counted.scalars == [0, 1, 2, 3])
    #expect(MLShapedArray<Float>(scalars: [1, 2, 3], shape: [2]).scalars == [1, 2])
  }

  @Test func allOfAnArrayIsASlice() {
    var array = MLShapedArray<Float>(scalars: [1, 2, 3, 4], shape: [2, 2])
    #expect(array[...].shape == [2, 2])
    let ranges: [any MLShapedArrayRangeExpression] = [0..<1, 1...]
    #expect(array[ranges].scalars == [2])
    array[ranges] = MLShapedArraySlice(repeating: 9, shape: [1, 1])
    #expect(array.scalars == [1, 9, 3, 4])
    let strided = MLMultiArray(shape: [2, 2] as [Int], dataType: .float32, strides: [4, 1] as [Int])
    #expect(strided.strides == [4, 1] && strided.count == 4)
  }
}
