import TintypeMLX
import TintypePackages

/// What a model is made of. The portable implementation runs ML Programs, so a structure here is one.
public enum MLModelStructure: Sendable {
  /// A neural network of the old format.
  case neuralNetwork(NeuralNetwork)
  /// An ML Program.
  case program(Program)
  /// Models that follow each other.
  case pipeline(Pipeline)
  /// None of these.
  case unsupported

  /// A neural network of the old format.
  public struct NeuralNetwork: Sendable {
    /// One layer.
    public struct Layer: Sendable {
      /// The layer's name.
      public let name: String
      /// What it computes.
      public let type: String
      /// What it reads.
      public let inputNames: [String]
      /// What it makes.
      public let outputNames: [String]
    }

    /// The layers in the order that they run.
    public let layers: [Layer]
  }

  /// Models that follow each other.
  public struct Pipeline: Sendable {
    /// Their names.
    public let subModelNames: [String]
    /// What they are made of.
    public let subModels: [MLModelStructure]
  }

  /// An ML Program.
  public struct Program: Sendable {
    /// The functions by name.
    public let functions: [String: Function]

    /// What one function takes, and what it does.
    public struct Function: Sendable {
      /// What it takes.
      public let inputs: [NamedValueType]
      /// What it does.
      public let block: Block
    }

    /// Operations in the order that they run.
    public struct Block: Sendable {
      /// What the block takes.
      public let inputs: [NamedValueType]
      /// The names of what it gives.
      public let outputNames: [String]
      /// What it does.
      public let operations: [Operation]
    }

    /// One operation: its operator, what it reads and what it makes.
    public struct Operation: Sendable {
      /// With its opset, as in "ios16.linear"; constants are "const".
      public let operatorName: String
      /// What it reads, by parameter.
      public let inputs: [String: Argument]
      /// What it makes.
      public let outputs: [NamedValueType]
      /// The blocks of loops and conditions.
      public let blocks: [Block]
    }

    /// What one parameter of an operation is bound to.
    public struct Argument: Sendable {
      /// The values, several where the parameter takes a list.
      public let bindings: [Binding]
    }

    /// What an argument is: another value's name, or a value of its own.
    public enum Binding: Sendable {
      /// The name of another value.
      case name(String)
      /// A value of its own.
      case value(Value)
    }

    /// The value is not told, as with Apple's.
    public struct Value: Sendable {}

    /// A value that a function takes or an operation makes.
    public struct NamedValueType: Sendable {
      /// The value's name.
      public let name: String
      /// The value's type.
      public let type: ValueType
    }

    /// The type is not told, as with Apple's.
    public struct ValueType: Sendable {}
  }

  /// Reads the structure of a compiled model.
  public static func load(contentsOf url: URL) async throws -> MLModelStructure {
    try await Blocking.run { try read(url) }
  }

  /// Reads the structure of an asset.
  public static func load(asset: MLModelAsset) async throws -> MLModelStructure {
    // The model's files may be the asset's own.
    try await Blocking.run { try withExtendedLifetime(asset) { try read(asset.url) } }
  }

  private static func read(_ url: URL) throws -> MLModelStructure {
    let package = try CompiledModel.package(in: url)
    do {
      let bytes = try Data(contentsOf: PackageFiles(package: package).specificationURL())
      return try ProgramReader.structure(of: [UInt8](bytes))
    } catch {
      throw MLModelError(
        .io, status: .format, "Unable to load model: \(url.path). Its program cannot be read: \(error)")
    }
  }
}

/// Field numbers of Core ML's `Model.proto` and `MIL.proto`.
private enum ProgramReader {
  typealias Program = MLModelStructure.Program

  static func structure(of bytes: [UInt8]) throws -> MLModelStructure {
    var program: ArraySlice<UInt8>?
    try WireReader.forEach(bytes[...]) { if $0 == 502 { program = $1.bytes } }
    guard let program else { return .unsupported }
    var functions: [String: Program.Function] = [:]
    try WireReader.forEach(program) { field, value in
      guard field == 2, let entry = value.bytes else { return }
      let (name, message) = try WireReader.mapEntry(entry)
      functions[name] = try function(message ?? [])
    }
    return .program(Program(functions: functions))
  }

  private static func function(_ message: ArraySlice<UInt8>) throws -> Program.Function {
    var inputs: [Program.NamedValueType] = []
    var opset = ""
    var blocks: [String: ArraySlice<UInt8>] = [:]
    try WireReader.forEach(message) { field, value in
      guard let bytes = value.bytes else { return }
      switch field {
      case 1: inputs.append(try namedType(bytes))
      case 2: opset = value.text ?? ""
      case 3:
        let (name, block) = try WireReader.mapEntry(bytes)
        blocks[name] = block
      default: break
      }
    }
    let prefix = opset.hasPrefix("CoreML") ? Int(opset.dropFirst(6)).map { "ios\($0 + 10)." } ?? "" : ""
    let body = try block(blocks[opset] ?? blocks.values.first ?? [], prefix: prefix, depth: 0)
    return Program.Function(inputs: inputs, block: body)
  }

  private static func block(_ message: ArraySlice<UInt8>, prefix: String, depth: Int) throws -> Program.Block {
    guard depth < 32 else { throw WireReader.Malformed(offset: message.startIndex) }
    var inputs: [Program.NamedValueType] = []
    var outputs: [String] = []
    var operations: [Program.Operation] = []
    try WireReader.forEach(message) { field, value in
      guard let bytes = value.bytes else { return }
      switch field {
      case 1: inputs.append(try namedType(bytes))
      case 2: outputs.append(value.text ?? "")
      case 3: operations.append(try operation(bytes, prefix: prefix, depth: depth))
      default: break
      }
    }
    return Program.Block(inputs: inputs, outputNames: outputs, operations: operations)
  }

  private static func operation(_ message: ArraySlice<UInt8>, prefix: String, depth: Int) throws -> Program.Operation {
    var name = ""
    var inputs: [String: Program.Argument] = [:]
    var outputs: [Program.NamedValueType] = []
    var blocks: [Program.Block] = []
    try WireReader.forEach(message) { field, value in
      guard let bytes = value.bytes else { return }
      switch field {
      case 1: name = value.text ?? ""
      case 2:
        let (input, argument) = try WireReader.mapEntry(bytes)
        var bindings: [Program.Binding] = []
        try WireReader.forEach(argument ?? []) { field, value in
          guard field == 1, let binding = value.bytes else { return }
          try WireReader.forEach(binding) { field, value in
            if field == 1 { bindings.append(.name(value.text ?? "")) }
            if field == 2 { bindings.append(.value(Program.Value())) }
          }
        }
        inputs[input] = Program.Argument(bindings: bindings)
      case 3: outputs.append(try namedType(bytes))
      case 4: blocks.append(try block(bytes, prefix: prefix, depth: depth + 1))
      default: break
      }
    }
    return Program.Operation(
      operatorName: name == "const" ? name : prefix + name, inputs: inputs, outputs: outputs, blocks: blocks)
  }

  private static func namedType(_ message: ArraySlice<UInt8>) throws -> Program.NamedValueType {
    var name = ""
    try WireReader.forEach(message) { if $0 == 1 { name = $1.text ?? "" } }
    return Program.NamedValueType(name: name, type: Program.ValueType())
  }
}
