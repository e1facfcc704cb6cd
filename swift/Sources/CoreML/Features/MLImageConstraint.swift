import CoreVideo
import TintypeImages
import TintypeMLX

/// How the size of an image is constrained. Raw values are Apple's.
public enum MLImageSizeConstraintType: Int, Sendable {
  /// Any size, or the default one alone.
  case unspecified = 0
  /// The sizes of a list.
  case enumerated = 2
  /// A range of widths and one of heights.
  case range = 3
}

/// The size of an image, in pixels.
open class MLImageSize {
  /// Pixels across.
  public let pixelsWide: Int
  /// Pixels down.
  public let pixelsHigh: Int

  init(_ size: ImageDescription.Size) {
    pixelsWide = size.width
    pixelsHigh = size.height
  }
}

/// The sizes that an image feature allows.
open class MLImageSizeConstraint {
  /// Which of the properties below says more than the default size.
  public let type: MLImageSizeConstraintType
  /// The allowed sizes, when they are enumerated.
  public let enumeratedImageSizes: [MLImageSize]
  private let wide: ExtentRange
  private let high: ExtentRange

  init(_ image: ImageDescription) {
    enumeratedImageSizes = image.enumeratedSizes.map(MLImageSize.init)
    wide = image.width
    high = image.height
    let isFixed = image.width.fixed != nil && image.height.fixed != nil
    type = !image.enumeratedSizes.isEmpty ? .enumerated : isFixed ? .unspecified : .range
  }

  #if !TINTYPE_ESSENTIALS_ONLY
    /// The allowed widths, when they are a range.
    public var pixelsWideRange: NSRange { NSRange(wide) }
    /// The allowed heights, when they are a range.
    public var pixelsHighRange: NSRange { NSRange(high) }
  #endif
}

/// What an image feature must be.
open class MLImageConstraint {
  /// The default width, in pixels.
  public let pixelsWide: Int
  /// The default height, in pixels.
  public let pixelsHigh: Int
  /// What a pixel is: `kCVPixelFormatType_32BGRA`, or a gray `OneComponent` format.
  public let pixelFormatType: OSType
  /// The other sizes that are allowed.
  public let sizeConstraint: MLImageSizeConstraint
  let image: ImageDescription

  init(_ image: ImageDescription) {
    pixelsWide = image.defaultSize.width
    pixelsHigh = image.defaultSize.height
    pixelFormatType = image.colorLayout.pixelFormat
    sizeConstraint = MLImageSizeConstraint(image)
    self.image = image
  }

  /// Throws the reason, in Core ML's words, where a picture does not fit.
  func check(_ buffer: CVPixelBuffer) throws(ImageMismatch) {
    let size = ImageDescription.Size(width: CVPixelBufferGetWidth(buffer), height: CVPixelBufferGetHeight(buffer))
    let format = CVPixelBufferGetPixelFormatType(buffer)
    guard image.colorLayout.pixelFormats.contains(format) else {
      let expected = image.colorLayout.pixelFormats.map { pixelFormatName($0) }.joined(separator: " or ")
      throw ImageMismatch(reason: "Image has the pixel format \(pixelFormatName(format)), expected \(expected)")
    }
    if image.allows(size) { return }
    switch (image.enumeratedSizes.isEmpty, image.width.fixed, image.height.fixed) {
    case (true, let width?, _) where width != size.width:
      throw ImageMismatch(reason: "Image is not valid width \(width), instead is \(size.width)")
    case (true, _, let height?) where height != size.height:
      throw ImageMismatch(reason: "Image is not valid height \(height), instead is \(size.height)")
    default:
      throw ImageMismatch(
        reason: "Image size \(size.width) x \(size.height) not in allowed set of image sizes: \(image.sizeText)")
    }
  }
}

/// Why a picture does not fit.
struct ImageMismatch: Error {
  let reason: String
}

#if !TINTYPE_ESSENTIALS_ONLY
  extension NSRange {
    /// The extents of a range; up to the largest integer where there is no limit.
    init(_ range: ExtentRange) {
      let length = range.upper.map { max($0 - range.lower + 1, 0) } ?? Int.max - range.lower
      self.init(location: range.lower, length: length)
    }
  }
#endif
