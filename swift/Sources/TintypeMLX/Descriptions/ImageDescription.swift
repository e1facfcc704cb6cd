/// The extents that a dimension allows; both bounds are allowed.
public struct ExtentRange: Sendable, Hashable {
  /// The smallest extent.
  public let lower: Int
  /// nil: any extent from the lower one on.
  public let upper: Int?

  /// A range; no upper bound: any extent from the lower one on.
  public init(lower: Int, upper: Int?) {
    self.lower = lower
    self.upper = upper
  }

  /// Whether an extent lies in the range.
  public func contains(_ extent: Int) -> Bool { extent >= lower && upper.map { extent <= $0 } ?? true }

  /// The one extent that is allowed, or nil where there are several.
  public var fixed: Int? { lower == upper ? lower : nil }
}

/// A picture as an input or output.
///
/// Outside of the model it is a tensor: uint8 [height, width, 3] in RGB order, uint8 [height, width] in gray, float16
/// [height, width] for `.grayscaleFloat16`; values from 0 to 255. What order and scale the program itself has is the
/// runtime's affair.
public struct ImageDescription: Sendable, Hashable {
  /// How the program sees the picture. Raw values are Core ML's names.
  public enum ColorLayout: String, Sendable, CaseIterable {
    /// Red, green, blue.
    case rgb = "RGB"
    /// Blue, green, red.
    case bgr = "BGR"
    /// One channel of 8 bits.
    case grayscale = "GRAYSCALE"
    /// One channel of float16.
    case grayscaleFloat16 = "GRAYSCALE_FLOAT16"

    /// Whether there are three channels.
    public var hasColor: Bool { self == .rgb || self == .bgr }

    /// What the picture's tensor is made of.
    public var elementType: ElementType { self == .grayscaleFloat16 ? .float16 : .uint8 }
  }

  /// Pixels across and down.
  public struct Size: Sendable, Hashable, CustomStringConvertible {
    /// Pixels across.
    public let width: Int
    /// Pixels down.
    public let height: Int

    /// A size in pixels.
    public init(width: Int, height: Int) {
      self.width = width
      self.height = height
    }

    public var description: String { "\(width) × \(height)" }
  }

  /// How the program sees the picture.
  public let colorLayout: ColorLayout
  /// The size where a caller names none.
  public let defaultSize: Size
  /// Pixels across that are allowed.
  public let width: ExtentRange
  /// Pixels down that are allowed.
  public let height: ExtentRange
  /// The only sizes that are allowed; empty: all within the ranges.
  public let enumeratedSizes: [Size]

  /// A picture; ranges that are left out follow from the sizes.
  public init(
    colorLayout: ColorLayout, defaultSize: Size, width: ExtentRange? = nil, height: ExtentRange? = nil,
    enumeratedSizes: [Size] = []
  ) {
    self.colorLayout = colorLayout
    self.defaultSize = defaultSize
    self.enumeratedSizes = enumeratedSizes
    func range(_ given: ExtentRange?, _ extents: [Int], _ fixed: Int) -> ExtentRange {
      given ?? ExtentRange(lower: extents.min() ?? fixed, upper: extents.max() ?? fixed)
    }
    self.width = range(width, enumeratedSizes.map(\.width), defaultSize.width)
    self.height = range(height, enumeratedSizes.map(\.height), defaultSize.height)
  }

  /// Whether a picture of this size is taken.
  public func allows(_ size: Size) -> Bool {
    enumeratedSizes.isEmpty
      ? width.contains(size.width) && height.contains(size.height) : enumeratedSizes.contains(size)
  }

  /// The shape of the picture's tensor; -1 stands for a flexible extent.
  public var shape: [Int] {
    let several = enumeratedSizes.count > 1
    let sides = [height, width].map { several ? -1 : $0.fixed ?? -1 }
    return colorLayout.hasColor ? sides + [3] : sides
  }

  /// The size of such a tensor; nil where the shape is no picture's.
  public func size(ofShape shape: [Int]) -> Size? {
    guard shape.count == self.shape.count, !colorLayout.hasColor || shape[2] == 3 else { return nil }
    return Size(width: shape[1], height: shape[0])
  }

  /// The allowed sizes in words, such as "6 × 4" or "2 to 8 × 3 or more".
  public var sizeText: String {
    if enumeratedSizes.isEmpty { return "\(width.text) × \(height.text)" }
    return enumeratedSizes.map(\.description).joined(separator: " or ")
  }
}
