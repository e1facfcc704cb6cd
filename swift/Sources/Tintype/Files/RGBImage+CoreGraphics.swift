#if canImport(ImageIO)
  import CoreGraphics
  import Foundation
  import ImageIO

  extension RGBImage {
    /// A picture of Core Graphics, in sRGB and 8 bits a channel; what is transparent lies on white. Nil where memory for it
    /// is lacking.
    public init?(_ image: CGImage) {
      let (width, height) = (image.width, image.height)
      guard width > 0, height > 0, let space = CGColorSpace(name: CGColorSpace.sRGB) else { return nil }
      var pixels = [UInt8](repeating: 255, count: 4 * width * height)
      let isDrawn = pixels.withUnsafeMutableBytes { buffer -> Bool in
        let context = CGContext(
          data: buffer.baseAddress, width: width, height: height, bitsPerComponent: 8, bytesPerRow: 4 * width,
          space: space, bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
        guard let context else { return false }
        context.interpolationQuality = .none
        context.draw(image, in: CGRect(x: 0, y: 0, width: width, height: height))
        return true
      }
      guard isDrawn else { return nil }
      var bytes = [UInt8](repeating: 0, count: 3 * width * height)
      for pixel in 0..<width * height {
        for channel in 0..<3 { bytes[3 * pixel + channel] = pixels[4 * pixel + channel] }
      }
      self.init(width: width, height: height, bytes: bytes)
    }

    /// The picture for views and files of Apple's frameworks, in sRGB.
    public var cgImage: CGImage? {
      guard let space = CGColorSpace(name: CGColorSpace.sRGB),
        let provider = CGDataProvider(data: Data(bytes) as CFData)
      else { return nil }
      return CGImage(
        width: width, height: height, bitsPerComponent: 8, bitsPerPixel: 24, bytesPerRow: 3 * width, space: space,
        bitmapInfo: CGBitmapInfo(rawValue: CGImageAlphaInfo.none.rawValue), provider: provider, decode: nil,
        shouldInterpolate: true, intent: .defaultIntent)
    }

    /// A file as ImageIO writes it; nil where the system has no encoder for the format.
    func encoded(_ format: PictureFormat, quality: Double) -> Data? {
      let identifiers: [PictureFormat: String] = [.jpeg: "public.jpeg", .heic: "public.heic", .tiff: "public.tiff"]
      let data = NSMutableData()
      guard let identifier = identifiers[format], let image = cgImage,
        let target = CGImageDestinationCreateWithData(data as CFMutableData, identifier as CFString, 1, nil)
      else { return nil }
      let options = [kCGImageDestinationLossyCompressionQuality: quality]
      CGImageDestinationAddImage(target, image, options as CFDictionary)
      return CGImageDestinationFinalize(target) ? data as Data : nil
    }

    /// A file as ImageIO reads it: the main picture, upright.
    static func read(_ data: Data, _ format: PictureFormat) throws -> RGBImage {
      guard let source = CGImageSourceCreateWithData(data as CFData, nil), CGImageSourceGetCount(source) > 0 else {
        throw PictureError.unsupported(format: format.rawValue)
      }
      let index = CGImageSourceGetPrimaryImageIndex(source)
      let properties = CGImageSourceCopyPropertiesAtIndex(source, index, nil) as? [CFString: Any] ?? [:]
      let width = properties[kCGImagePropertyPixelWidth] as? Int ?? 0
      let height = properties[kCGImagePropertyPixelHeight] as? Int ?? 0
      guard width.multipliedReportingOverflow(by: height).partialValue <= PNG.mostPixels else {
        throw PictureError.tooLarge(width: width, height: height)
      }
      guard let image = CGImageSourceCreateImageAtIndex(source, index, nil), let picture = RGBImage(image) else {
        throw PictureError.damaged(format: format.rawValue)
      }
      return picture.upright(from: properties[kCGImagePropertyOrientation] as? Int ?? 1)
    }
  }
#endif
