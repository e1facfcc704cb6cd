import CoreVideo
import Testing

@Suite struct CVPixelBufferTests {
  private func make(
    _ width: Int, _ height: Int, _ format: OSType, _ attributes: CFDictionary? = nil
  ) -> (code: CVReturn, buffer: CVPixelBuffer?) {
    var buffer: CVPixelBuffer?
    let code = CVPixelBufferCreate(kCFAllocatorDefault, width, height, format, attributes, &buffer)
    return (code, buffer)
  }

  @Test(
    arguments: [
      (kCVPixelFormatType_32BGRA, 64), (kCVPixelFormatType_32ARGB, 64), (kCVPixelFormatType_24RGB, 64),
      (kCVPixelFormatType_OneComponent8, 64), (kCVPixelFormatType_OneComponent16Half, 64),
    ])
  func rowsArePadded(_ format: OSType, _ bytesPerRow: Int) throws {
    let attributes =
      [kCVPixelBufferCGImageCompatibilityKey: kCFBooleanTrue!, kCVPixelBufferMetalCompatibilityKey: true]
      as CFDictionary
    let buffer = try #require(make(5, 3, format, attributes).buffer)
    #expect(CVPixelBufferGetWidth(buffer) == 5 && CVPixelBufferGetHeight(buffer) == 3)
    #expect(CVPixelBufferGetPixelFormatType(buffer) == format)
    #expect(CVPixelBufferGetBytesPerRow(buffer) == bytesPerRow)
    #expect(CVPixelBufferGetDataSize(buffer) == 3 * bytesPerRow)
    #expect(!CVPixelBufferIsPlanar(buffer) && CVPixelBufferGetPlaneCount(buffer) == 0)
  }

  @Test func anAlignmentCanBeAskedFor() throws {
    let buffer = make(5, 1, kCVPixelFormatType_OneComponent8, [kCVPixelBufferBytesPerRowAlignmentKey: 8]).buffer
    #expect(CVPixelBufferGetBytesPerRow(try #require(buffer)) == 8)
    #expect(
      make(5, 1, kCVPixelFormatType_OneComponent8, [kCVPixelBufferBytesPerRowAlignmentKey: 12]).code
        == kCVReturnInvalidArgument)
  }

  @Test(
    arguments: [
      (0, 1, kCVPixelFormatType_32BGRA, kCVReturnInvalidArgument),
      (1, -1, kCVPixelFormatType_32BGRA, kCVReturnInvalidArgument),
      (1, 1, 7, kCVReturnInvalidPixelFormat),
      (.max, 1, kCVPixelFormatType_32BGRA, kCVReturnInvalidSize),
      (1 << 40, 1 << 40, kCVPixelFormatType_32BGRA, kCVReturnInvalidSize),
      (1 << 28, 1 << 28, kCVPixelFormatType_OneComponent8, kCVReturnAllocationFailed),
    ])
  func refusesWhatCannotBe(_ width: Int, _ height: Int, _ format: OSType, _ code: CVReturn) {
    let (actual, buffer) = make(width, height, format)
    #expect(actual == code && buffer == nil)
  }

  @Test func memoryIsLentWhileLocked() throws {
    let buffer = try #require(make(2, 2, kCVPixelFormatType_32BGRA).buffer)
    #expect(CVPixelBufferGetBaseAddress(buffer) == nil)
    #expect(CVPixelBufferUnlockBaseAddress(buffer, []) == kCVReturnError)
    #expect(CVPixelBufferLockBaseAddress(buffer, []) == kCVReturnSuccess)
    CVPixelBufferLockBaseAddress(buffer, .readOnly)
    CVPixelBufferUnlockBaseAddress(buffer, .readOnly)
    let base = try #require(CVPixelBufferGetBaseAddress(buffer)).assumingMemoryBound(to: UInt8.self)
    #expect((0..<CVPixelBufferGetDataSize(buffer)).allSatisfy { base[$0] == 0 })
    CVPixelBufferUnlockBaseAddress(buffer, [])
    #expect(CVPixelBufferGetBaseAddress(buffer) == nil)
  }

  @Test func lentMemoryGoesBack() throws {
    final class Flag {
      var isSet = false
    }
    let flag = Flag()
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 40, alignment: 1)
    defer { memory.deallocate() }
    memory.initializeMemory(as: UInt8.self, repeating: 9, count: 40)
    var buffer: CVPixelBuffer?
    func create(rows: Int, bytesPerRow: Int) -> CVReturn {
      CVPixelBufferCreateWithBytes(
        nil, 4, rows, kCVPixelFormatType_OneComponent8, memory, bytesPerRow,
        { flag, _ in flag.map { Unmanaged<Flag>.fromOpaque($0).takeUnretainedValue().isSet = true } },
        Unmanaged.passUnretained(flag).toOpaque(), nil, &buffer)
    }
    #expect(create(rows: 2, bytesPerRow: 3) == kCVReturnInvalidArgument)
    #expect(create(rows: 2, bytesPerRow: 20) == kCVReturnSuccess)
    let made = try #require(buffer)
    CVPixelBufferLockBaseAddress(made, .readOnly)
    #expect(CVPixelBufferGetBaseAddress(made) == memory)
    CVPixelBufferUnlockBaseAddress(made, .readOnly)
    #expect(!flag.isSet)
    buffer = nil
    withExtendedLifetime(made) {}
    _ = consume made
    #expect(flag.isSet)
  }
}
