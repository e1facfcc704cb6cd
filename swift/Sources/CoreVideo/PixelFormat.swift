// Names are Core Video's.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

/// Red, green, blue: three bytes a pixel.
public let kCVPixelFormatType_24RGB: OSType = 0x18
/// Alpha, red, green, blue: four bytes a pixel.
public let kCVPixelFormatType_32ARGB: OSType = 0x20
/// Blue, green, red, alpha: four bytes a pixel ('BGRA').
public let kCVPixelFormatType_32BGRA: OSType = 0x4247_5241
/// Red, green, blue, alpha: four bytes a pixel ('RGBA').
public let kCVPixelFormatType_32RGBA: OSType = 0x5247_4241
/// Gray, a byte a pixel ('L008').
public let kCVPixelFormatType_OneComponent8: OSType = 0x4C30_3038
/// Gray, a 16-bit float a pixel ('L00h').
public let kCVPixelFormatType_OneComponent16Half: OSType = 0x4C30_3068
/// Gray, a 32-bit float a pixel ('L00f').
public let kCVPixelFormatType_OneComponent32Float: OSType = 0x4C30_3066

/// Bytes of a pixel; nil for a format that this implementation does not have.
func bytesPerPixel(_ format: OSType) -> Int? {
  switch format {
  case kCVPixelFormatType_OneComponent8: 1
  case kCVPixelFormatType_OneComponent16Half: 2
  case kCVPixelFormatType_24RGB: 3
  case kCVPixelFormatType_32ARGB, kCVPixelFormatType_32BGRA, kCVPixelFormatType_32RGBA: 4
  case kCVPixelFormatType_OneComponent32Float: 4
  default: nil
  }
}
