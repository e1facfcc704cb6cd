import CTintype

extension ImageDescription {
  /// What the C ABI says of a picture; nil for arrays. (It knows no enumerated sizes, only their bounds.)
  init?(_ feature: tt_feature) {
    guard feature.content == tt_content(TT_IMAGE), let layout = ColorLayout(abiValue: feature.color_layout) else {
      return nil
    }
    func range(_ bounds: (Int64, Int64)) -> ExtentRange {
      ExtentRange(lower: Int(bounds.0), upper: bounds.1 < 0 ? nil : Int(bounds.1))
    }
    let (width, height) = (range(feature.width), range(feature.height))
    self.init(
      colorLayout: layout, defaultSize: Size(width: width.lower, height: height.lower), width: width, height: height)
  }

  /// Writes it to the C ABI's description.
  package func store(in feature: inout tt_feature) {
    func bounds(_ range: ExtentRange) -> (Int64, Int64) { (Int64(range.lower), range.upper.map { Int64($0) } ?? -1) }
    feature.content = tt_content(TT_IMAGE)
    feature.color_layout = colorLayout.abiValue
    feature.width = bounds(width)
    feature.height = bounds(height)
  }
}

extension ImageDescription.ColorLayout {
  var abiValue: tt_color_layout {
    switch self {
    case .rgb: tt_color_layout(TT_RGB)
    case .bgr: tt_color_layout(TT_BGR)
    case .grayscale: tt_color_layout(TT_GRAYSCALE)
    case .grayscaleFloat16: tt_color_layout(TT_GRAYSCALE_FLOAT16)
    }
  }

  init?(abiValue: tt_color_layout) {
    guard let match = Self.allCases.first(where: { $0.abiValue == abiValue }) else { return nil }
    self = match
  }
}
