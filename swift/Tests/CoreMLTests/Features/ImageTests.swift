import CoreML
import TestSupport
import Testing

/// A picture whose pixel in column x and row y is `color(x, y)`, in the format's own channels.
private func picture(
  _ width: Int = 6, _ height: Int = 4, _ format: OSType = kCVPixelFormatType_32BGRA,
  _ color: (Int, Int) -> [UInt8] = { [UInt8(10 * $0 + $1), UInt8(100 + $0), UInt8(200 + $1), 255] }
) throws -> CVPixelBuffer {
  var made: CVPixelBuffer?
  let code = CVPixelBufferCreate(kCFAllocatorDefault, width, height, format, nil, &made)
  #expect(code == kCVReturnSuccess)
  let buffer = try #require(made)
  CVPixelBufferLockBaseAddress(buffer, [])
  defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
  let base = try #require(CVPixelBufferGetBaseAddress(buffer))
  for y in 0..<height {
    for x in 0..<width {
      let bytes = color(x, y)
      for (index, byte) in bytes.enumerated() {
        base.storeBytes(
          of: byte, toByteOffset: y * CVPixelBufferGetBytesPerRow(buffer) + x * bytes.count + index, as: UInt8.self)
      }
    }
  }
  return buffer
}

private func bytes(of buffer: CVPixelBuffer, x: Int, y: Int, size: Int) throws -> [UInt8] {
  CVPixelBufferLockBaseAddress(buffer, .readOnly)
  defer { CVPixelBufferUnlockBaseAddress(buffer, .readOnly) }
  let base = try #require(CVPixelBufferGetBaseAddress(buffer))
  return Array(UnsafeRawBufferPointer(start: base + y * CVPixelBufferGetBytesPerRow(buffer) + x * size, count: size))
}

@Suite struct ImageTests {
  private func run(
    _ package: String, _ input: MLFeatureValue, options: MLPredictionOptions = MLPredictionOptions()
  ) throws -> MLFeatureValue {
    let features = try MLDictionaryFeatureProvider(dictionary: ["x": input])
    let result = try Compiled(package).model().prediction(from: features, options: options)
    return try #require(result.featureValue(for: "y"))
  }

  // Channel 0 of the program is halved: red where it sees RGB, blue where it sees BGR.
  @Test(
    arguments: [
      ("image_rgb", kCVPixelFormatType_32BGRA, [200, 100, 51, 255]),
      ("image_bgr", kCVPixelFormatType_32BGRA, [100, 100, 102, 255]),
      ("image_rgb", kCVPixelFormatType_32ARGB, [200, 100, 51, 255]),
    ] as [(String, OSType, [UInt8])])
  func channelsAreInTheProgramsOrder(_ package: String, _ format: OSType, _ expected: [UInt8]) throws {
    let (red, green, blue): (UInt8, UInt8, UInt8) = (102, 100, 200)
    let input = try picture(6, 4, format) { _, _ in
      format == kCVPixelFormatType_32BGRA ? [blue, green, red, 7] : [7, red, green, blue]
    }
    let output = try run(package, MLFeatureValue(pixelBuffer: input))
    #expect(output.type == .image && output.multiArrayValue == nil)
    let image = try #require(output.imageBufferValue)
    #expect(CVPixelBufferGetPixelFormatType(image) == kCVPixelFormatType_32BGRA)
    #expect(CVPixelBufferGetWidth(image) == 6 && CVPixelBufferGetHeight(image) == 4)
    #expect(try bytes(of: image, x: 5, y: 3, size: 4) == expected)
  }

  @Test func everyPixelKeepsItsPlace() throws {
    let image = try #require(try run("image_rgb", MLFeatureValue(pixelBuffer: picture())).imageBufferValue)
    for y in 0..<4 {
      for x in 0..<6 {
        #expect(try bytes(of: image, x: x, y: y, size: 4).prefix(2) == [UInt8(10 * x + y), UInt8(100 + x)])
      }
    }
  }

  @Test func grayTakesABytePerPixel() throws {
    let input = try picture(6, 4, kCVPixelFormatType_OneComponent8) { x, y in [UInt8(40 * x + y * 2)] }
    let image = try #require(try run("image_gray", MLFeatureValue(pixelBuffer: input)).imageBufferValue)
    #expect(CVPixelBufferGetPixelFormatType(image) == kCVPixelFormatType_OneComponent8)
    #expect(try bytes(of: image, x: 5, y: 3, size: 1) == [103])
  }

  @Test func grayHalvesTakeFloats() throws {
    let three = withUnsafeBytes(of: Float16(3.5)) { Array($0) }
    let input = try picture(6, 4, kCVPixelFormatType_OneComponent16Half) { _, _ in three }
    let image = try #require(try run("image_half", MLFeatureValue(pixelBuffer: input)).imageBufferValue)
    #expect(CVPixelBufferGetPixelFormatType(image) == kCVPixelFormatType_OneComponent16Half)
    let raw = try bytes(of: image, x: 5, y: 3, size: 2)
    #expect(raw.withUnsafeBytes { $0.loadUnaligned(as: Float16.self) } == 1.75)
  }

  // coremltools puts scale and bias into the program, by channel of the program's order.
  @Test func scaleAndBiasAreTheModels() throws {
    let input = try picture { _, _ in [10, 20, 30, 255] }  // blue, green, red
    let array = try #require(try run("image_scaled", MLFeatureValue(pixelBuffer: input)).multiArrayValue)
    #expect(array.shape == [1, 3, 4, 6])
    #expect([0, 1, 2].map { array[[0, NSNumber(value: $0), 3, 5]].doubleValue } == [6, 12, 18])
  }

  @Test func theConstraintIsTold() throws {
    func constraint(_ name: String) throws -> MLImageConstraint {
      let input = try #require(try Compiled(name).model().modelDescription.inputDescriptionsByName["x"])
      #expect(input.type == .image && input.multiArrayConstraint == nil)
      return try #require(input.imageConstraint)
    }
    let fixed = try constraint("image_bgr")
    #expect(fixed.pixelsWide == 6 && fixed.pixelsHigh == 4)
    #expect(fixed.pixelFormatType == kCVPixelFormatType_32BGRA && fixed.sizeConstraint.type == .unspecified)
    #expect(try constraint("image_gray").pixelFormatType == kCVPixelFormatType_OneComponent8)
    #expect(try constraint("image_half").pixelFormatType == kCVPixelFormatType_OneComponent16Half)
    let range = try constraint("image_range")
    #expect(range.pixelsWide == 6 && range.pixelsHigh == 4 && range.sizeConstraint.type == .range)
    #if !TINTYPE_ESSENTIALS_ONLY
      #expect(range.sizeConstraint.pixelsWideRange == NSRange(location: 3, length: 7))
      #expect(range.sizeConstraint.pixelsHighRange == NSRange(location: 2, length: 7))
    #endif
    let sizes = try constraint("image_sizes").sizeConstraint
    #expect(sizes.type == .enumerated)
    #expect(Set(sizes.enumeratedImageSizes.map { [$0.pixelsWide, $0.pixelsHigh] }) == [[6, 4], [3, 2]])
    let output = try Compiled("image_rgb").model().modelDescription.outputDescriptionsByName["y"]
    #expect(output?.type == .image && output?.imageConstraint?.pixelsWide == 6)
  }

  @Test(arguments: [("image_range", 3, 2), ("image_range", 9, 8), ("image_sizes", 3, 2), ("image_sizes", 6, 4)])
  func allowedSizesRun(_ package: String, _ width: Int, _ height: Int) throws {
    let image = try #require(try run(package, MLFeatureValue(pixelBuffer: picture(width, height))).imageBufferValue)
    #expect(CVPixelBufferGetWidth(image) == width && CVPixelBufferGetHeight(image) == height)
  }

  @Test(
    arguments: [
      ("image_rgb", 5, 4, "Image is not valid width 6, instead is 5"),
      ("image_rgb", 6, 5, "Image is not valid height 4, instead is 5"),
      ("image_sizes", 6, 2, "Image size 6 x 2 not in allowed set of image sizes: 6 × 4 or 3 × 2"),
      ("image_range", 10, 5, "Image size 10 x 5 not in allowed set of image sizes: 3 to 9 × 2 to 8"),
    ])
  func otherSizesAreFeatureTypeErrors(_ package: String, _ width: Int, _ height: Int, _ reason: String) throws {
    let input = MLFeatureValue(pixelBuffer: try picture(width, height))
    let error = try #require(throws: MLModelError.self) { try run(package, input) }
    #expect(error.code == .featureType)
    #expect(error.errorDescription == "Input image feature x does not match model description")
    #expect("\(error)".hasSuffix(reason))
    #if !TINTYPE_ESSENTIALS_ONLY
      let underlying = try #require((error as NSError).userInfo[NSUnderlyingErrorKey] as? any Error)
      #expect(underlying.localizedDescription == reason)
    #endif
    let description = try #require(try Compiled(package).model().modelDescription.inputDescriptionsByName["x"])
    #expect(!description.isAllowedValue(input))
    #expect(description.isAllowedValue(MLFeatureValue(pixelBuffer: try picture(6, 4))))
  }

  @Test func otherKindsAreFeatureTypeErrors() throws {
    let gray = try picture(6, 4, kCVPixelFormatType_OneComponent8) { _, _ in [1] }
    let format = try #require(throws: MLModelError.self) {
      try run("image_rgb", MLFeatureValue(pixelBuffer: gray))
    }
    #expect("\(format)".hasSuffix("Image has the pixel format 'L008', expected 'BGRA' or 32 or 'RGBA'"))
    let array = try MLMultiArray(shape: [1, 3, 4, 6], dataType: .float32)
    let kind = try #require(throws: MLModelError.self) { try run("image_rgb", MLFeatureValue(multiArray: array)) }
    #expect(kind.errorDescription == "Feature x must be an image, got a value of type multiArray.")
    let input = try MLDictionaryFeatureProvider(dictionary: ["x": MLFeatureValue(pixelBuffer: picture())])
    let other = try #require(throws: MLModelError.self) { try Compiled("linear").model().prediction(from: input) }
    #expect(other.errorDescription == "Feature x must be a multi-array, got a value of type image.")
  }

  @Test func outputsAreWrittenToBackingsThatFit() throws {
    let options = MLPredictionOptions()
    let fitting = try picture(6, 4, kCVPixelFormatType_32ARGB) { _, _ in [0, 0, 0, 0] }
    options.outputBackings = ["y": fitting]
    let input = MLFeatureValue(pixelBuffer: try picture { _, _ in [3, 2, 8, 0] })
    #expect(try run("image_rgb", input, options: options).imageBufferValue === fitting)
    #expect(try bytes(of: fitting, x: 0, y: 0, size: 4) == [255, 4, 2, 3])
    let small = try picture(3, 2)
    options.outputBackings = ["y": small]
    let error = try #require(throws: MLModelError.self) { try run("image_rgb", input, options: options) }
    #expect(error.code == .featureType)
    #expect(error.errorDescription?.hasSuffix("it is a pixel buffer of 3 × 2 in 'BGRA'.") == true)
  }

  @Test func valuesOfEqualPixelsAreEqual() throws {
    let (one, same) = (MLFeatureValue(pixelBuffer: try picture()), MLFeatureValue(pixelBuffer: try picture()))
    #expect(one.isEqual(to: same))
    #expect(!one.isEqual(to: MLFeatureValue(pixelBuffer: try picture(3, 2))))
    #expect(MLFeatureValue(undefined: .image).imageBufferValue == nil)
  }
}
