import CoreVideo
import TintypeMLX

extension ImageDescription.ColorLayout {
  /// The pixel formats that such a picture may have.
  package var pixelFormats: [OSType] {
    switch self {
    case .rgb, .bgr: [kCVPixelFormatType_32BGRA, kCVPixelFormatType_32ARGB, kCVPixelFormatType_32RGBA]
    case .grayscale: [kCVPixelFormatType_OneComponent8]
    case .grayscaleFloat16: [kCVPixelFormatType_OneComponent16Half]
    }
  }

  /// The pixel format that models give and ask for.
  package var pixelFormat: OSType { pixelFormats[0] }
}

/// Where the bytes of a pixel in four bytes are.
struct ByteOrder {
  let red: Int
  let green: Int
  let blue: Int
  let alpha: Int

  /// nil for formats of another kind.
  init?(_ format: OSType) {
    switch format {
    case kCVPixelFormatType_32BGRA: (red, green, blue, alpha) = (2, 1, 0, 3)
    case kCVPixelFormatType_32ARGB: (red, green, blue, alpha) = (1, 2, 3, 0)
    case kCVPixelFormatType_32RGBA: (red, green, blue, alpha) = (0, 1, 2, 3)
    default: return nil
    }
  }
}
