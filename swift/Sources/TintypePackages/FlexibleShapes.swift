import TintypeMLX

/// The shapes that a package's arrays and pictures allow beyond their default ones, by function and feature.
package struct FlexibleShapes {
  package struct Entry: Equatable {
    /// The shape where a caller names none.
    package var defaultShape: [Int] = []
    package var limits: AllowedShapes?
    /// Of a picture, which has sizes instead of shapes.
    package var image: ImageDescription?

    package func allows(_ shape: [Int]) -> Bool { limits?.allow(shape) ?? true }
  }

  /// By function ("" where the package lists its features without functions), then by feature.
  private var entries: [String: [String: Entry]] = [:]

  /// Field numbers of Core ML's `Model.proto` and `FeatureTypes.proto`.
  package init(parsing bytes: [UInt8]) throws {
    var found: [String: [String: Entry]] = [:]
    try WireReader.forEach(bytes[...]) { field, value in
      guard field == 2, let message = value.bytes else { return }
      try WireReader.forEach(message) { field, value in
        guard let bytes = value.bytes else { return }
        switch field {
        case 1, 10: try Self.readFeature(bytes, into: &found["", default: [:]])
        case 20: try Self.readFunction(bytes, into: &found)
        default: break
        }
      }
    }
    entries = found
  }

  /// nil where the package does not know the feature, or it is no array.
  package func entry(function: String, feature: String) -> Entry? {
    (entries[function] ?? entries[""])?[feature]
  }

  private static func readFunction(_ message: ArraySlice<UInt8>, into found: inout [String: [String: Entry]]) throws {
    var name = ""
    var features: [String: Entry] = [:]
    try WireReader.forEach(message) { field, value in
      guard let bytes = value.bytes else { return }
      if field == 1 { name = value.text ?? "" }
      if field == 2 || field == 3 { try readFeature(bytes, into: &features) }
    }
    found[name] = features
  }

  private static func readFeature(_ message: ArraySlice<UInt8>, into features: inout [String: Entry]) throws {
    var name = ""
    var entry: Entry?
    try WireReader.forEach(message) { field, value in
      if field == 1 { name = value.text ?? "" }
      guard field == 3, let type = value.bytes else { return }
      try WireReader.forEach(type) { field, value in
        if field == 5, let array = value.bytes { entry = try readArray(array) }
        if field == 4, let image = value.bytes { entry = Entry(image: try ImageDescription(parsing: image)) }
      }
    }
    features[name] = entry
  }

  static func readArray(_ array: ArraySlice<UInt8>) throws -> Entry {
    var entry = Entry()
    try WireReader.forEach(array) { field, value in
      switch (field, value) {
      case (1, _): entry.defaultShape += try WireReader.integers(value)
      case (21, .bytes(let message)):
        var shapes: [[Int]] = []
        try WireReader.forEach(message) { field, value in
          guard field == 1, let shape = value.bytes else { return }
          var extents: [Int] = []
          try WireReader.forEach(shape) { field, value in if field == 1 { extents += try WireReader.integers(value) } }
          shapes.append(extents)
        }
        if !shapes.isEmpty { entry.limits = .enumerated(shapes) }
      case (31, .bytes(let message)):
        var ranges: [ExtentRange] = []
        try WireReader.forEach(message) { field, value in
          guard field == 1, let range = value.bytes else { return }
          ranges.append(try ExtentRange(parsing: range))
        }
        if !ranges.isEmpty { entry.limits = .ranges(ranges) }
      default: break
      }
    }
    return entry
  }
}

extension ModelDescription {
  /// The same with the shapes that a package's files allow, where only bounds or flexible extents are known.
  package func completed(by shapes: FlexibleShapes) -> ModelDescription {
    ModelDescription(
      functions: functions.map { function in
        FunctionDescription(
          name: function.name, inputs: function.inputs.map { $0.completed(by: shapes, function.name) },
          outputs: function.outputs, states: function.states)
      })
  }
}

extension FeatureDescription {
  fileprivate func completed(by shapes: FlexibleShapes, _ function: String) -> FeatureDescription {
    guard let entry = shapes.entry(function: function, feature: name) else { return self }
    if image != nil {
      return entry.image.map { FeatureDescription(name: name, image: $0, isOptional: isOptional) } ?? self
    }
    guard let limits = entry.limits else { return self }
    return FeatureDescription(
      name: name, elementType: elementType, shape: limits.commonShape, isOptional: isOptional,
      defaultShape: entry.defaultShape.isEmpty ? nil : entry.defaultShape, allowedShapes: limits)
  }
}
