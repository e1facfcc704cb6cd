import TintypeMLX

/// What makes a function a classifier: the names of its two outputs, and its labels in the order of the probabilities.
///
/// As tensors, the label is an int64 without axes (a text is its place among the classes), the probabilities a float32
/// vector.
package struct ClassifierDescription: Equatable, Sendable {
  package enum Label: Hashable, Sendable {
    case text(String)
    case integer(Int64)
  }

  package let label: String
  package let probabilities: String
  package let classes: [Label]

  package init(label: String, probabilities: String, classes: [Label]) {
    self.label = label
    self.probabilities = probabilities
    self.classes = classes
  }

  /// Whether the labels are texts.
  package var hasTexts: Bool { if case .text = classes.first { true } else { false } }

  /// One of the two outputs, as a tensor; nil for a name that is neither's.
  package func feature(named name: String) -> FeatureDescription? {
    switch name {
    case label: FeatureDescription(name: name, elementType: .int64, shape: [])
    case probabilities: FeatureDescription(name: name, elementType: .float32, shape: [classes.count])
    default: nil
    }
  }
}

/// Field numbers of Core ML's `Model.proto` and `MIL.proto`.
extension ClassifierDescription {
  /// The classifiers among a package's functions: those that end with a `classify`.
  package static func all(parsing bytes: [UInt8]) throws -> [String: ClassifierDescription] {
    var found: [String: ClassifierDescription] = [:]
    try WireReader.forEach(bytes[...]) { field, value in
      guard field == 502, let program = value.bytes else { return }
      try WireReader.forEach(program) { field, value in
        guard field == 2, let entry = value.bytes else { return }
        let (name, function) = try WireReader.mapEntry(entry)
        found[name] = try read(function ?? [])
      }
    }
    return found
  }

  private static func read(_ function: ArraySlice<UInt8>) throws -> ClassifierDescription? {
    var last: ArraySlice<UInt8> = []
    try WireReader.forEach(function) { field, value in
      guard field == 3, let entry = value.bytes else { return }
      try WireReader.forEach(try WireReader.mapEntry(entry).value ?? []) { field, value in
        if field == 3, let operation = value.bytes { last = operation }
      }
    }
    var type = ""
    var classes: [Label] = []
    var outputs: [String] = []
    try WireReader.forEach(last) { field, value in
      guard let bytes = value.bytes else { return }
      switch field {
      case 1: type = value.text ?? ""
      case 2:
        let (name, argument) = try WireReader.mapEntry(bytes)
        if name == "classes" { classes = try labels(inArgument: argument ?? []) }
      case 3: try WireReader.forEach(bytes) { if $0 == 1 { outputs.append($1.text ?? "") } }
      default: break
      }
    }
    guard type == "classify", outputs.count == 2 else { return nil }
    return ClassifierDescription(label: outputs[0], probabilities: outputs[1], classes: classes)
  }

  /// Argument → binding → value → immediate value → list.
  private static func labels(inArgument argument: ArraySlice<UInt8>) throws -> [Label] {
    var labels: [Label] = []
    try forEach(argument, at: [1, 2, 3, 3, 1]) { item in
      // Value → immediate value → tensor: strings, integers or long integers.
      try forEach(item, at: [3, 1]) { tensor in
        try WireReader.forEach(tensor) { field, value in
          guard [2, 4, 5].contains(field), let values = value.bytes else { return }
          try WireReader.forEach(values) { number, value in
            guard number == 1 else { return }
            if field == 4 {
              labels.append(.text(value.text ?? ""))
            } else {
              labels += try WireReader.integers(value).map { .integer(Int64($0)) }
            }
          }
        }
      }
    }
    return labels
  }

  /// Calls `body` with every message at this path of fields.
  private static func forEach(
    _ message: ArraySlice<UInt8>, at path: ArraySlice<Int>, _ body: (ArraySlice<UInt8>) throws -> Void
  ) throws {
    guard let next = path.first else { return try body(message) }
    try WireReader.forEach(message) { field, value in
      if field == next, let bytes = value.bytes { try forEach(bytes, at: path.dropFirst(), body) }
    }
  }
}
