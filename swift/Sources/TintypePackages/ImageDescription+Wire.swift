import TintypeMLX

extension ImageDescription {
  /// Reads `ImageFeatureType` of Core ML's `FeatureTypes.proto`; nil for a colour space that it does not name.
  package init?(parsing message: ArraySlice<UInt8>) throws {
    var (width, height, space) = (0, 0, 0)
    var sizes: [Size] = []
    var ranges: [Int: ExtentRange] = [:]
    try WireReader.forEach(message) { field, value in
      switch (field, value) {
      case (1, .number(let number)): width = Int(truncatingIfNeeded: number)
      case (2, .number(let number)): height = Int(truncatingIfNeeded: number)
      case (3, .number(let number)): space = Int(truncatingIfNeeded: number)
      case (21, .bytes(let list)):
        try WireReader.forEach(list) { field, value in
          guard field == 1, let size = value.bytes else { return }
          sizes.append(try Size(parsing: size))
        }
      case (31, .bytes(let limits)):
        try WireReader.forEach(limits) { field, value in
          if let range = value.bytes { ranges[field] = try ExtentRange(parsing: range) }
        }
      default: break
      }
    }
    let layouts: [Int: ColorLayout] = [10: .grayscale, 20: .rgb, 30: .bgr, 40: .grayscaleFloat16]
    guard let layout = layouts[space] else { return nil }
    self.init(
      colorLayout: layout, defaultSize: Size(width: width, height: height), width: ranges[1], height: ranges[2],
      enumeratedSizes: sizes)
  }
}

extension ImageDescription.Size {
  fileprivate init(parsing message: ArraySlice<UInt8>) throws {
    var sides: [Int: Int] = [:]
    try WireReader.forEach(message) { sides[$0] = $1.number.map { Int(truncatingIfNeeded: $0) } }
    self.init(width: sides[1] ?? 0, height: sides[2] ?? 0)
  }
}

extension ExtentRange {
  /// Reads `SizeRange`, whose upper bound is negative where there is none.
  init(parsing message: ArraySlice<UInt8>) throws {
    var bounds: [Int: Int] = [:]
    try WireReader.forEach(message) { bounds[$0] = $1.number.map { Int(truncatingIfNeeded: $0) } }
    let upper = bounds[2] ?? 0
    self.init(lower: bounds[1] ?? 0, upper: upper < 0 ? nil : upper)
  }
}
