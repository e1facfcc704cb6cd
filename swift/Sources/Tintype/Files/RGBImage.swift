/// An image of 8 bits a channel: rows from the top, pixels from the left, red, green, blue.
public struct RGBImage: Sendable, Equatable {
  /// Pixels across.
  public let width: Int
  /// Pixels down.
  public let height: Int
  /// `width`·`height`·3 bytes.
  public let bytes: [UInt8]

  /// Nil where the bytes do not fill the size.
  public init?(width: Int, height: Int, bytes: [UInt8]) {
    guard width > 0, height > 0, bytes.count.isMultiple(of: 3), (bytes.count / 3).isMultiple(of: width),
      bytes.count / 3 / width == height
    else { return nil }
    self.width = width
    self.height = height
    self.bytes = bytes
  }

  /// A decoder's output, float [1, 3, height, width] in −1…1, as diffusers' image processor turns it into pixels:
  /// x/2 + 0.5, clamped to 0…1, times 255, rounded half to even. All in float32.
  ///
  /// Nil where the shape is another one.
  public init?(decoded: Tensor) {
    guard decoded.shape.count == 4, decoded.shape[0] == 1, decoded.shape[1] == 3 else { return nil }
    let plane = decoded.shape[2] * decoded.shape[3]
    let values = decoded.floats()
    var bytes = [UInt8](repeating: 0, count: 3 * plane)
    for channel in 0..<3 {
      for pixel in 0..<plane {
        let level = min(max(values[channel * plane + pixel] / 2 + 0.5, 0), 1) * 255
        bytes[3 * pixel + channel] = level.isNaN ? 0 : UInt8(level.rounded(.toNearestOrEven))
      }
    }
    self.init(width: decoded.shape[3], height: decoded.shape[2], bytes: bytes)
  }
}

extension RGBImage {
  /// Width and height.
  public var size: ImageSize { ImageSize(width: width, height: height) }

  /// The picture as a model with images takes it: uint8 [height, width, 3], or gray [height, width] by the luma of ITU-R
  /// 601, in the fixed-point form of Pillow's `convert("L")`; float16 for `.grayscaleFloat16`.
  public func tensor(_ layout: ImageDescription.ColorLayout) throws -> Tensor {
    if layout.hasColor {
      return try Tensor(shape: [height, width, 3], elementType: .uint8) { $0.copyBytes(from: bytes) }
    }
    let gray = try Tensor(shape: [height, width], elementType: .uint8) { target in
      for pixel in target.indices {
        let (red, green, blue) = (Int(bytes[3 * pixel]), Int(bytes[3 * pixel + 1]), Int(bytes[3 * pixel + 2]))
        target[pixel] = UInt8((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16)
      }
    }
    return try gray.converted(to: layout.elementType)
  }
}
