import CoreML
import Testing

@Suite struct TensorCreationTests {
  /// What literals become: floats before integers before tensors.
  @Test func literals() async {
    let floats = MLTensor([1.0, 3.0, 6.0])
    #expect(floats.holds(Float.self) && floats.shape == [3])
    #expect(await MLTensor([1, 2, 3], scalarType: Int32.self).integers == [1, 2, 3])
    let truths = MLTensor([true, false])
    #expect(truths.holds(Bool.self) && truths.shape == [2])
    let stacked = MLTensor([MLTensor([1.0, 2.0]), MLTensor([3.0, 4.0])], alongAxis: 1)
    #expect(await stacked.floats == [1, 3, 2, 4])
    let matrix: MLTensor = [[1.0, 2.0], [3.0, 4.0]]
    #expect(matrix.shape == [2, 2])
  }

  @Test func rangesAndSpaces() async {
    #expect(await MLTensor(rangeFrom: 0, to: 1, by: 0.25).floats == [0, 0.25, 0.5, 0.75])
    #expect(await MLTensor(rangeFrom: 5, to: 0, by: -2, scalarType: Int32.self).integers == [5, 3, 1])
    let halves = MLTensor(linearSpaceFrom: 0, through: 1, count: 5, scalarType: Float16.self)
    #expect(halves.holds(Float16.self))
    #expect(await halves.floats == [0, 0.25, 0.5, 0.75, 1])
    // The last one is the bound itself, whatever the steps round to.
    #expect(await MLTensor(linearSpaceFrom: 0.1, through: 0.7, count: 7).floats.last == 0.7)
    #expect(await MLTensor(zeros: [2], scalarType: UInt8.self).integers == [0, 0])
    #expect(await MLTensor(ones: [2], scalarType: Int16.self).integers == [1, 1])
  }

  @Test func memoryIsTakenOver() async {
    let released = Released()
    do {
      let memory = UnsafeMutableBufferPointer<Float>.allocate(capacity: 4)
      _ = memory.initialize(from: [1, 2, 3, 4])
      nonisolated(unsafe) let owned = memory
      let tensor = MLTensor(
        bytesNoCopy: UnsafeRawBufferPointer(memory), shape: [2, 2], scalarType: Float.self,
        deallocator: .custom { _, count in
          released.bytes = count
          owned.deallocate()
        })
      #expect(await (tensor + 1).floats == [2, 3, 4, 5])
      #expect(released.bytes == 0)
    }
    #expect(released.bytes == 16)
  }

  private final class Released: @unchecked Sendable { var bytes = 0 }

  @Test func bytesAreCopied() async {
    let data = withUnsafeBytes(of: (Int32(3), Int32(-4))) { Data($0) }
    #expect(await MLTensor(shape: [2], data: data, scalarType: Int32.self).integers == [3, -4])
    let filled = MLTensor(unsafeUninitializedShape: [3], scalarType: UInt8.self) { bytes in
      for index in bytes.indices { bytes[index] = UInt8(index + 1) }
    }
    #expect(await filled.integers == [1, 2, 3])
  }

  @Test func mirrorsTellShapeAndType() {
    let mirror = Mirror(reflecting: MLTensor([1.0, 2.0]))
    #expect(mirror.children.map(\.label) == ["shape", "scalarType"])
    #expect(mirror.children.first?.value as? [Int] == [2])
  }
}
