import TintypeMLX

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What a package's `model.mlmodel` says of itself: the parts that `MLModel` does not tell, or not for functions that
/// are not loaded (their names, and the order of inputs and outputs).
package struct PackageSpecification: Equatable {
  package var version = 0
  package var description = ModelDescription(functions: [])
  package var metadata: [String: String] = [:]
  /// How often each op occurs, by function.
  package var operations: [String: [String: Int]] = [:]
  /// Whether the package names its functions, as one with several does.
  package var listsFunctions = false
  /// By function.
  package var classifiers: [String: ClassifierDescription] = [:]

  /// Field numbers of Core ML's `Model.proto` and `MIL.proto`.
  package init(parsing bytes: [UInt8]) throws {
    var inputs: [FeatureDescription] = []
    var outputs: [FeatureDescription] = []
    var states: [FeatureDescription] = []
    var functions: [FunctionDescription] = []
    var defaultName = ""
    classifiers = try ClassifierDescription.all(parsing: bytes)
    // Features that are not listed by functions are those of the only one.
    let classifier = classifiers.values.first
    let classifiers = classifiers
    try WireReader.forEach(bytes[...]) { field, value in
      switch (field, value) {
      case (1, .number(let number)): version = Int(truncatingIfNeeded: number)
      case (2, .bytes(let message)):
        try WireReader.forEach(message) { field, value in
          guard let bytes = value.bytes else { return }
          switch field {
          case 1: inputs.append(contentsOf: try Self.feature(bytes))
          case 10: outputs.append(contentsOf: try Self.feature(bytes, classifier))
          case 13: states.append(contentsOf: try Self.feature(bytes))
          case 20: functions.append(try Self.function(bytes, classifiers))
          case 21: defaultName = value.text ?? ""
          case 100: try readMetadata(bytes)
          default: break
          }
        }
      case (502, .bytes(let program)): try readProgram(program)
      default: break
      }
    }
    listsFunctions = !functions.isEmpty
    if functions.isEmpty {
      let name = operations.count == 1 ? operations.keys.first ?? "main" : "main"
      functions = [FunctionDescription(name: name, inputs: inputs, outputs: outputs, states: states)]
    } else if let index = functions.firstIndex(where: { $0.name == defaultName }) {
      functions.insert(functions.remove(at: index), at: 0)
    }
    description = ModelDescription(functions: functions)
  }

  private static func function(
    _ message: ArraySlice<UInt8>, _ classifiers: [String: ClassifierDescription]
  ) throws -> FunctionDescription {
    var name = ""
    try WireReader.forEach(message) { if $0 == 1 { name = $1.text ?? "" } }
    var inputs: [FeatureDescription] = []
    var outputs: [FeatureDescription] = []
    var states: [FeatureDescription] = []
    try WireReader.forEach(message) { field, value in
      guard let bytes = value.bytes else { return }
      switch field {
      case 2: inputs.append(contentsOf: try feature(bytes))
      case 3: outputs.append(contentsOf: try feature(bytes, classifiers[name]))
      case 6: states.append(contentsOf: try feature(bytes))
      default: break
      }
    }
    return FunctionDescription(name: name, inputs: inputs, outputs: outputs, states: states)
  }

  /// One feature; none for kinds that are neither arrays nor pictures nor a classifier's outputs.
  private static func feature(
    _ message: ArraySlice<UInt8>, _ classifier: ClassifierDescription? = nil
  ) throws -> [FeatureDescription] {
    var name = ""
    var array: ArraySlice<UInt8>?
    var image: ImageDescription?
    var isOptional = false
    try WireReader.forEach(message) { field, value in
      if field == 1 { name = value.text ?? "" }
      guard field == 3, let type = value.bytes else { return }
      try WireReader.forEach(type) { field, value in
        switch field {
        case 4: image = try value.bytes.flatMap { try ImageDescription(parsing: $0) }
        case 5: array = value.bytes
        case 8:
          guard let state = value.bytes else { return }
          try WireReader.forEach(state) { if $0 == 1 { array = $1.bytes } }
        case 1000: isOptional = value.number == 1
        default: break
        }
      }
    }
    if let image { return [FeatureDescription(name: name, image: image, isOptional: isOptional)] }
    guard let array else { return classifier?.feature(named: name).map { [$0] } ?? [] }
    var type: ElementType?
    try WireReader.forEach(array) {
      if $0 == 2 { type = $1.number.flatMap { ElementType(coreMLRawValue: Int(truncatingIfNeeded: $0)) } }
    }
    guard let type else { return [] }
    let shapes = try FlexibleShapes.readArray(array)
    // Core ML has no scalars: a package that lists no extents, as of many outputs, does not tell the shape.
    let known = shapes.defaultShape.isEmpty ? nil : shapes.defaultShape
    return [
      FeatureDescription(
        name: name, elementType: type, shape: shapes.limits.map(\.commonShape) ?? known, isOptional: isOptional,
        defaultShape: shapes.limits == nil ? nil : known, allowedShapes: shapes.limits)
    ]
  }

  private mutating func readMetadata(_ message: ArraySlice<UInt8>) throws {
    let names = [1: "shortDescription", 2: "versionString", 3: "author", 4: "license"]
    try WireReader.forEach(message) { field, value in
      if let name = names[field], let text = value.text, !text.isEmpty { metadata[name] = text }
      if field == 100, let entry = value.bytes {
        let (key, text) = try WireReader.mapEntry(entry)
        metadata[key] = text.map { String(decoding: $0, as: UTF8.self) } ?? ""
      }
    }
  }

  private mutating func readProgram(_ program: ArraySlice<UInt8>) throws {
    try WireReader.forEach(program) { field, value in
      guard field == 2, let entry = value.bytes else { return }
      let (name, function) = try WireReader.mapEntry(entry)
      var counts: [String: Int] = [:]
      try WireReader.forEach(function ?? []) { field, value in
        guard field == 3, let entry = value.bytes else { return }
        try Self.countOperations(in: try WireReader.mapEntry(entry).value ?? [], depth: 0, &counts)
      }
      operations[name] = counts
    }
  }

  private static func countOperations(
    in block: ArraySlice<UInt8>, depth: Int, _ counts: inout [String: Int]
  ) throws {
    guard depth < 32 else { throw WireReader.Malformed(offset: block.startIndex) }
    try WireReader.forEach(block) { field, value in
      guard field == 3, let operation = value.bytes else { return }
      try WireReader.forEach(operation) { field, value in
        if field == 1, let type = value.text { counts[type, default: 0] += 1 }
        if field == 4, let inner = value.bytes { try countOperations(in: inner, depth: depth + 1, &counts) }
      }
    }
  }
}

extension ElementType {
  /// Core ML's raw values (`MLMultiArrayDataType`, and `ArrayDataType` in packages).
  package init?(coreMLRawValue value: Int) {
    switch value {
    case 0x10010: self = .float16
    case 0x10020: self = .float32
    case 0x10040: self = .float64
    case 0x20020: self = .int32
    case 0x20008: self = .int8
    default: return nil
    }
  }

  /// nil for types that Core ML's multi-arrays do not have.
  package var coreMLRawValue: Int? {
    switch self {
    case .float16: 0x10010
    case .float32: 0x10020
    case .float64: 0x10040
    case .int32: 0x20020
    case .int8: 0x20008
    case .bool, .uint8, .int16, .uint16, .uint32, .int64: nil
    }
  }
}
