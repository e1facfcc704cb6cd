import Tintype

/// An input, output or state as `inspect` and `run` print it; what there is not to tell is left out.
struct FeatureRow: Encodable {
  private let name: String
  private let dtype: String
  /// The default one of what is flexible. Nil: any shape; -1: a flexible extent.
  private let shape: [Int]?
  private let isOptional: Bool
  /// How the program sees a picture, whose shapes are [height, width, channels].
  private let colorLayout: ImageDescription.ColorLayout?
  private let allowed: AllowedShapes?

  /// Shapes that the text shows of an input that takes one of several.
  private static let shown = 4

  /// - Parameter isText: a classifier's label, which is a text in the package and its number in a tensor.
  init(_ feature: FeatureDescription, isText: Bool = false) {
    (name, isOptional) = (feature.name, feature.isOptional)
    dtype = isText ? "string" : feature.elementType.rawValue
    colorLayout = feature.image?.colorLayout
    shape = feature.image?.defaultShape ?? feature.defaultShape ?? feature.shape
    allowed = feature.image?.allowedShapes ?? feature.allowedShapes
  }

  /// A text of a prediction, in NumPy's words.
  init(name: String, text: String) {
    (self.name, dtype, shape) = (name, NPY.descriptor(ofText: text), [])
    (isOptional, colorLayout, allowed) = (false, nil, nil)
  }

  init(_ spec: BundleDescriptor.TensorSpec) {
    (name, dtype, shape) = (spec.name, spec.dtype, spec.shape)
    (isOptional, colorLayout, allowed) = (false, nil, nil)
  }

  private enum CodingKeys: String, CodingKey {
    case name, dtype, shape, optional, ranges, shapes
    case colorLayout = "color_layout"
  }

  func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(name, forKey: .name)
    try values.encode(dtype, forKey: .dtype)
    try values.encode(shape, forKey: .shape)
    if isOptional { try values.encode(true, forKey: .optional) }
    try values.encodeIfPresent(colorLayout?.rawValue, forKey: .colorLayout)
    switch allowed {
    case .enumerated(let shapes): try values.encode(shapes, forKey: .shapes)
    case .ranges(let ranges): try values.encode(ranges.map { [$0.lower, $0.upper ?? -1] }, forKey: .ranges)
    case nil: break
    }
  }

  var text: String {
    let kind = colorLayout.map { "\($0.rawValue) image" } ?? dtype
    return "\(name) \(kind) \(sizes)\(isOptional ? ", optional" : "")"
  }

  /// As `run` prints it.
  var line: String { "\(name): \(dtype) \(sizes)" }

  /// What shapes there may be, of a picture width x height.
  private var sizes: String {
    switch allowed {
    case .ranges(let ranges):
      return colorLayout == nil
        ? "[\(ranges.map(\.text).joined(separator: ", "))]" : "(\(ranges[1].text)) x (\(ranges[0].text))"
    case .enumerated(let shapes):
      let rest = shapes.count - Self.shown
      return shapes.prefix(Self.shown).map(size).joined(separator: " or ") + (rest > 0 ? " or \(rest) others" : "")
    case nil: return shape.map(size) ?? "[any]"
    }
  }

  private func size(_ shape: [Int]) -> String {
    if colorLayout != nil, shape.count > 1 { return "\(shape[1])x\(shape[0])" }
    return "[\(shape.map { $0 < 0 ? "?" : "\($0)" }.joined(separator: ", "))]"
  }
}

extension ImageDescription {
  fileprivate var defaultShape: [Int] { tensorShape(of: defaultSize) }

  /// Nil: the default one alone.
  fileprivate var allowedShapes: AllowedShapes? {
    if !enumeratedSizes.isEmpty { return .enumerated(enumeratedSizes.map(tensorShape)) }
    guard width.fixed == nil || height.fixed == nil else { return nil }
    let channels = ExtentRange(lower: 3, upper: 3)
    return .ranges([height, width] + (colorLayout.hasColor ? [channels] : []))
  }

  private func tensorShape(of size: Size) -> [Int] {
    [size.height, size.width] + (colorLayout.hasColor ? [3] : [])
  }
}
