import CoreVideo
import Testing
import TintypeMLX

@testable import TintypeImages

@Suite struct PixelBufferTensorTests {
  /// A picture of 5 × 3 pixels in which every byte says where it is.
  private func picture(_ layout: ImageDescription.ColorLayout) throws -> Tensor {
    let shape = layout.hasColor ? [3, 5, 3] : [3, 5]
    return try Tensor(shape: shape, elementType: layout.elementType) { bytes in
      for index in bytes.indices { bytes[index] = UInt8(7 * index % 251) }
    }
  }

  private func bytes(_ tensor: Tensor) -> [UInt8] { tensor.withUnsafeBytes { Array($0) } }

  @Test(arguments: ImageDescription.ColorLayout.allCases)
  func goThereAndBack(_ layout: ImageDescription.ColorLayout) throws {
    let picture = try picture(layout)
    let buffer = try picture.pixelBuffer(layout)
    #expect(CVPixelBufferGetPixelFormatType(buffer) == layout.pixelFormat)
    let back = try Tensor(pixelsOf: buffer, layout)
    #expect(back.shape == picture.shape && back.elementType == picture.elementType)
    #expect(bytes(back) == bytes(picture))
  }

  @Test(
    arguments: [
      (kCVPixelFormatType_32BGRA, [14, 7, 0, 255]), (kCVPixelFormatType_32ARGB, [255, 0, 7, 14]),
      (kCVPixelFormatType_32RGBA, [0, 7, 14, 255]),
    ] as [(OSType, [UInt8])])
  func coloursHaveAnOrder(_ format: OSType, _ first: [UInt8]) throws {
    var made: CVPixelBuffer?
    CVPixelBufferCreate(kCFAllocatorDefault, 5, 3, format, nil, &made)
    let buffer = try #require(made)
    let picture = try picture(.rgb)
    try picture.copyPixels(to: buffer, .rgb)
    CVPixelBufferLockBaseAddress(buffer, .readOnly)
    let base = try #require(CVPixelBufferGetBaseAddress(buffer))
    #expect(Array(UnsafeRawBufferPointer(start: base, count: 4)) == first)
    CVPixelBufferUnlockBaseAddress(buffer, .readOnly)
    #expect(bytes(try Tensor(pixelsOf: buffer, .bgr)) == bytes(picture))
  }

  @Test func otherFormatsAndSizesAreRefused() throws {
    let gray = try picture(.grayscale).pixelBuffer(.grayscale)
    #expect(throws: PixelBufferError.format(actual: "'L008'", expected: ["'BGRA'", "32", "'RGBA'"])) {
      try Tensor(pixelsOf: gray, .rgb)
    }
    var made: CVPixelBuffer?
    CVPixelBufferCreate(kCFAllocatorDefault, 4, 3, kCVPixelFormatType_32BGRA, nil, &made)
    let small = try #require(made)
    let error = try #require(throws: PixelBufferError.self) { try picture(.rgb).copyPixels(to: small, .rgb) }
    #expect(error.description == "a pixel buffer has 4 × 3 pixels, expected [3, 5, 3]")
    #expect(throws: PixelBufferError.system(call: "CVPixelBufferCreate", code: kCVReturnInvalidArgument)) {
      try Tensor.zeros(shape: [0, 5, 3], elementType: .uint8).pixelBuffer(.rgb)
    }
  }
}
