import CoreML
import TintypeImages
import TintypeMLX

extension ImageDescription {
  /// What Core ML itself says of an image; nil for a pixel format of another kind. (Models of both colour orders ask
  /// for the same pixel format.)
  init?(_ constraint: MLImageConstraint) {
    let layouts: [ColorLayout] = [.rgb, .grayscale, .grayscaleFloat16]
    guard let layout = layouts.first(where: { $0.pixelFormat == constraint.pixelFormatType }) else { return nil }
    let sizes = constraint.sizeConstraint
    let size = Size(width: constraint.pixelsWide, height: constraint.pixelsHigh)
    let flexible = ExtentRange(lower: 1, upper: nil)
    switch sizes.type {
    case .enumerated:
      self.init(
        colorLayout: layout, defaultSize: size,
        enumeratedSizes: sizes.enumeratedImageSizes.map { Size(width: $0.pixelsWide, height: $0.pixelsHigh) })
    // Core ML checks the bounds itself.
    case .range: self.init(colorLayout: layout, defaultSize: size, width: flexible, height: flexible)
    default: self.init(colorLayout: layout, defaultSize: size)
    }
  }
}
