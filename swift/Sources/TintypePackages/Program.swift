#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A value's type in an ML Program.
package struct ProgramTensor: Equatable, Sendable {
  /// As MIL names it, such as "float16".
  package let dtype: String
  /// -1 is an extent that is not fixed.
  package let shape: [Int]
  /// Of an element.
  package let bits: Int

  package init(dtype: String, shape: [Int], bits: Int) {
    self.dtype = dtype
    self.shape = shape
    self.bits = bits
  }

  package var isStatic: Bool { shape.allSatisfy { $0 >= 0 } }
  package var isFloatingPoint: Bool { dtype.contains("float") }

  /// Extents that are not fixed count as one.
  package var elements: Int { Count.product(shape.map { max($0, 1) }) }

  /// Elements below 8 bits are packed.
  package var bytes: Int { (Count.product([elements, bits]) + 7) / 8 }
}

/// Products and sums of extents that end at a limit: a damaged file may name any numbers.
package enum Count {
  private static let limit = 1 << 50

  package static func product(_ factors: some Sequence<Int>) -> Int {
    factors.reduce(1) { product, factor in
      let (next, overflow) = product.multipliedReportingOverflow(by: factor)
      return overflow ? limit : min(next, limit)
    }
  }

  package static func sum(_ terms: some Sequence<Int>) -> Int {
    terms.reduce(0) { min($0 + $1, limit << 10) }
  }
}

/// A constant: its type, whether it lies in the weight file, and short integers or text in the program.
package struct ProgramConstant: Equatable, Sendable {
  package var tensor: ProgramTensor?
  package var isStored = false
  package var integers: [Int] = []
  package var text: String?

  package init(tensor: ProgramTensor? = nil, isStored: Bool = false, integers: [Int] = [], text: String? = nil) {
    (self.tensor, self.isStored, self.integers, self.text) = (tensor, isStored, integers, text)
  }
}

/// One operation: its kind, the names of the values bound to each argument, and its outputs.
package struct ProgramOperation: Equatable, Sendable {
  package struct Input: Equatable, Sendable {
    package let name: String
    package let values: [String]

    package init(name: String, values: [String]) { (self.name, self.values) = (name, values) }
  }

  package struct Output: Equatable, Sendable {
    package let name: String
    package let tensor: ProgramTensor?

    package init(name: String, tensor: ProgramTensor?) { (self.name, self.tensor) = (name, tensor) }
  }

  package var kind = ""
  package var inputs: [Input] = []
  package var outputs: [Output] = []

  package init(kind: String, inputs: [Input] = [], outputs: [Output] = []) {
    (self.kind, self.inputs, self.outputs) = (kind, inputs, outputs)
  }

  /// The name of the first output; converters put the layer's name there.
  package var place: String { outputs.first?.name ?? kind }
  /// The names of the values bound to an argument.
  package func values(of argument: String) -> [String] { inputs.first { $0.name == argument }?.values ?? [] }

  package var outputTensors: [ProgramTensor] { outputs.compactMap(\.tensor) }
}

/// A function of an ML Program: its operations in order (those of inner blocks included, constants apart) and the type of
/// every value.
package struct ProgramFunction: Equatable, Sendable {
  package let name: String
  package private(set) var operations: [ProgramOperation] = []
  package private(set) var constants: [String: ProgramConstant] = [:]
  package private(set) var tensors: [String: ProgramTensor] = [:]

  package init(
    name: String, operations: [ProgramOperation], constants: [String: ProgramConstant] = [:],
    tensors: [String: ProgramTensor] = [:]
  ) {
    (self.name, self.operations, self.constants, self.tensors) = (name, operations, constants, tensors)
  }

  /// The package's functions, `main` first; nil where it is no ML Program.
  package static func all(parsing bytes: [UInt8]) throws -> [ProgramFunction]? {
    var program: ArraySlice<UInt8>?
    try WireReader.forEach(bytes[...]) { if $0 == 502 { program = $1.bytes } }
    guard let program else { return nil }
    var functions: [ProgramFunction] = []
    try WireReader.forEach(program) { field, value in
      guard field == 2, let entry = value.bytes else { return }
      let (name, message) = try WireReader.mapEntry(entry)
      functions.append(try ProgramFunction(name: name, parsing: message ?? []))
    }
    return functions.sorted { ($0.name == "main" ? 0 : 1, $0.name) < ($1.name == "main" ? 0 : 1, $1.name) }
  }

  /// How often each kind of op occurs, constants apart.
  package var counts: [String: Int] { operations.reduce(into: [:]) { $0[$1.kind, default: 0] += 1 } }

  /// Elements of the weights in the weight file; compressed ones count as what they stand for.
  package var parameters: Int {
    let decompressing = operations.filter { $0.kind.hasPrefix("constexpr_") }
    let consumed = Set(decompressing.flatMap(\.inputs).flatMap(\.values))
    let stored = constants.filter { $1.isStored && !consumed.contains($0) }.compactMap(\.value.tensor)
    return Count.sum((decompressing.flatMap(\.outputTensors) + stored).map(\.elements))
  }

  /// Types of the tensors bound to an argument.
  package func arguments(_ operation: ProgramOperation, _ name: String) -> [ProgramTensor] {
    operation.values(of: name).compactMap { tensors[$0] }
  }

  /// The constant integers bound to an argument; nil where there are none.
  package func integers(_ operation: ProgramOperation, _ name: String) -> [Int]? {
    guard let found = constant(operation, name)?.integers, !found.isEmpty else { return nil }
    return found
  }

  /// The constant text bound to an argument.
  package func text(_ operation: ProgramOperation, _ name: String) -> String? { constant(operation, name)?.text }

  private func constant(_ operation: ProgramOperation, _ name: String) -> ProgramConstant? {
    operation.values(of: name).first.flatMap { constants[$0] }
  }
}

/// Field numbers of Core ML's `MIL.proto`.
extension ProgramFunction {
  private init(name: String, parsing message: ArraySlice<UInt8>) throws {
    self.name = name
    try WireReader.forEach(message) { field, value in
      guard let bytes = value.bytes else { return }
      if field == 1 {
        let input = try ProgramOperation.Output(parsing: bytes)
        tensors[input.name] = input.tensor
      } else if field == 3 {
        try read(block: try WireReader.mapEntry(bytes).value ?? [], depth: 0)
      }
    }
  }

  private mutating func read(block: ArraySlice<UInt8>, depth: Int) throws {
    guard depth <= 32 else { throw WireReader.Malformed(offset: block.startIndex) }
    try WireReader.forEach(block) { field, value in
      guard field == 3, let bytes = value.bytes else { return }
      let operation = try ProgramOperation(parsing: bytes)
      for output in operation.outputs { tensors[output.name] = output.tensor }
      if operation.kind == "const" {
        constants[operation.place] = try ProgramConstant(parsing: bytes, tensor: operation.outputs.first?.tensor)
      } else {
        operations.append(operation)
        for (name, literal) in try operation.literals(parsing: bytes) {
          constants[name] = literal
          tensors[name] = literal.tensor
        }
      }
      try WireReader.forEach(bytes) { field, value in
        if field == 4, let inner = value.bytes { try read(block: inner, depth: depth + 1) }
      }
    }
  }
}

extension ProgramOperation {
  fileprivate init(parsing message: ArraySlice<UInt8>) throws {
    self.init(kind: "")
    try WireReader.forEach(message) { field, value in
      guard let bytes = value.bytes else { return }
      switch field {
      case 1: kind = value.text ?? ""
      case 2:
        let (name, argument) = try WireReader.mapEntry(bytes)
        var values: [String] = []
        try WireReader.forEach(argument ?? []) { field, value in
          guard field == 1, let binding = value.bytes else { return }
          values.append(try WireReader.first(1, in: binding).map { String(decoding: $0, as: UTF8.self) } ?? "")
        }
        inputs.append(Input(name: name, values: values))
      case 3: outputs.append(try Output(parsing: bytes))
      default: break
      }
    }
    // The outputs may come last, and name what has no name.
    inputs = inputs.map { input in
      let named = input.values.enumerated().map { index, value in
        value.isEmpty ? "\(place)(\(input.name) \(index))" : value
      }
      return Input(name: input.name, values: named)
    }
  }

  /// The constants that stand in the arguments of `message` themselves, as compressed weights do, by the names that
  /// `inputs` has for them.
  fileprivate func literals(parsing message: ArraySlice<UInt8>) throws -> [(String, ProgramConstant)] {
    var literals: [(String, ProgramConstant)] = []
    try WireReader.forEach(message) { field, value in
      guard field == 2, let bytes = value.bytes else { return }
      let (argument, bound) = try WireReader.mapEntry(bytes)
      var names = values(of: argument)[...]
      try WireReader.forEach(bound ?? []) { field, value in
        guard field == 1, let binding = value.bytes, let name = names.popFirst() else { return }
        guard let literal = try WireReader.first(2, in: binding) else { return }
        literals.append((name, try ProgramConstant(value: literal)))
      }
    }
    return literals
  }
}

extension ProgramOperation.Output {
  /// `NamedValueType`: its name, and the tensor of its type.
  fileprivate init(parsing message: ArraySlice<UInt8>) throws {
    name = try WireReader.first(1, in: message).map { String(decoding: $0, as: UTF8.self) } ?? ""
    tensor = try ProgramTensor(typeOf: message)
  }
}

extension ProgramTensor {
  /// MIL's `DataType`: name and bits of an element.
  private static let dtypes: [UInt64: (name: String, bits: Int)] = [
    1: ("bool", 8), 10: ("float16", 16), 11: ("float32", 32), 12: ("float64", 64), 13: ("bfloat16", 16),
    21: ("int8", 8), 22: ("int16", 16), 23: ("int32", 32), 24: ("int64", 64), 25: ("int4", 4), 31: ("uint8", 8),
    32: ("uint16", 16), 33: ("uint32", 32), 34: ("uint64", 64), 35: ("uint4", 4), 36: ("uint2", 2), 37: ("uint1", 1),
    38: ("uint6", 6), 39: ("uint3", 3),
  ]

  /// The tensor type of a `NamedValueType` or a `Value`, which have it in the same field; nil for another type.
  fileprivate init?(typeOf message: ArraySlice<UInt8>) throws {
    let type = try WireReader.first(2, in: message).flatMap { try WireReader.first(1, in: $0) }
    guard let type, !type.isEmpty else { return nil }
    try self.init(parsing: type)
  }

  private init(parsing message: ArraySlice<UInt8>) throws {
    var (type, shape) = (UInt64(0), [Int]())
    try WireReader.forEach(message) { field, value in
      switch (field, value) {
      case (1, .number(let number)): type = number
      case (3, .bytes(let dimension)):
        // A dimension of extent 0 is an empty message: the field is there.
        guard let constant = try WireReader.first(1, in: dimension) else { return shape.append(-1) }
        var extent = 0
        try WireReader.forEach(constant) { if $0 == 1, let size = $1.number { extent = Int(exactly: size) ?? .max } }
        shape.append(extent)
      default: break
      }
    }
    let (name, bits) = Self.dtypes[type] ?? ("other", 0)
    self.init(dtype: name, shape: shape, bits: bits)
  }
}

extension ProgramConstant {
  /// A `const` operation: the attribute `val` holds the value, at once or by its place in the weight file.
  fileprivate init(parsing operation: ArraySlice<UInt8>, tensor: ProgramTensor?) throws {
    var value: ArraySlice<UInt8> = []
    try WireReader.forEach(operation) { field, entry in
      guard field == 5, let bytes = entry.bytes else { return }
      let (name, message) = try WireReader.mapEntry(bytes)
      if name == "val" { value = message ?? [] }
    }
    try self.init(value: value)
    self.tensor = tensor
  }

  /// A `Value`, with its own type.
  fileprivate init(value: ArraySlice<UInt8>) throws {
    self.init(tensor: try ProgramTensor(typeOf: value))
    isStored = try WireReader.first(5, in: value).map { !$0.isEmpty } ?? false
    let immediate = try WireReader.first(3, in: value).flatMap { try WireReader.first(1, in: $0) }
    guard let immediate else { return }
    if let list = try WireReader.first(2, in: immediate) {
      try WireReader.forEach(list) { if $0 == 1 { integers += try WireReader.integers($1) } }
    }
    text = try WireReader.first(4, in: immediate).flatMap { try WireReader.first(1, in: $0) }
      .map { String(decoding: $0, as: UTF8.self) }
  }
}
