import Foundation
import Tintype

/// An ML Program for a suite to measure: element-wise ops, each on the result of the one before, from the float16 input
/// "x" to the output "y" of the same shape. Field numbers are those of Core ML's `Model.proto` and `MIL.proto`.
struct BenchProgram {
  /// Extents of input and output.
  let shape: [Int]
  private var operations: [[UInt8]] = []
  private var last = input

  private static let input = "x"
  private static let output = "y"
  private static let specificationVersion = 7
  private static let opset = "CoreML6"
  private static let stringType = Wire.message(1, Wire.number(1, 2))
  private static let float16 = 10
  /// In the description: `MLMultiArrayDataType`.
  private static let arrayFloat16 = 0x10010

  init(shape: [Int]) { self.shape = shape }

  /// add, mul, …: the result so far and a row, which is the same for all axes but the last.
  mutating func apply(_ kind: String, row: [Float]) throws {
    let bytes = try Tensor(shape: [row.count], floats: row).converted(to: .float16).withUnsafeBytes { [UInt8]($0) }
    let name = constant(floats([row.count]), Wire.message(7, Wire.message(1, bytes)))
    append(kind, ["x": last, "y": name])
  }

  /// The result so far and the program's input.
  mutating func addInput() { append("add", ["x": Self.input, "y": last]) }

  /// GELU by its approximation with tanh.
  mutating func gelu() {
    let mode = constant(Self.stringType, Wire.message(4, Wire.text(1, "TANH_APPROXIMATION")))
    append("gelu", ["x": last, "mode": mode])
  }

  /// Writes the package to a new folder.
  func write(to package: URL) throws {
    let data = package.appendingPathComponent("Data/com.apple.CoreML")
    try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
    try Data(model()).write(to: data.appendingPathComponent("model.mlmodel"))
    let manifest = """
      {"fileFormatVersion": "1.0.0", "itemInfoEntries": {"model": {"author": "com.apple.CoreML", "description": \
      "CoreML Model Specification", "name": "model.mlmodel", "path": "com.apple.CoreML/model.mlmodel"}}, \
      "rootModelIdentifier": "model"}
      """
    try Data(manifest.utf8).write(to: package.appendingPathComponent("Manifest.json"))
  }

  private mutating func append(_ kind: String, _ inputs: [String: String], output: String? = nil) {
    let name = output ?? "op\(operations.count)"
    let arguments = inputs.sorted { $0.key < $1.key }.flatMap { key, value in
      Wire.entry(2, key, Wire.message(1, Wire.text(1, value)))
    }
    operations.append(Wire.text(1, kind) + arguments + result(name, floats(shape)) + nameAttribute(name))
    last = name
  }

  private mutating func constant(_ type: [UInt8], _ tensor: [UInt8]) -> String {
    let name = "const\(operations.count)"
    let value = Wire.entry(5, "val", Self.immediate(type, tensor))
    operations.append(Wire.text(1, "const") + result(name, type) + value + nameAttribute(name))
    return name
  }

  private func result(_ name: String, _ type: [UInt8]) -> [UInt8] {
    Wire.message(3, Wire.text(1, name) + Wire.message(2, type))
  }

  private func nameAttribute(_ name: String) -> [UInt8] {
    Wire.entry(5, "name", Self.immediate(Self.stringType, Wire.message(4, Wire.text(1, name))))
  }

  private static func immediate(_ type: [UInt8], _ tensor: [UInt8]) -> [UInt8] {
    Wire.message(2, type) + Wire.message(3, Wire.message(1, tensor))
  }

  /// The type of a float16 tensor.
  private func floats(_ shape: [Int]) -> [UInt8] {
    let extents = shape.flatMap { Wire.message(3, Wire.message(1, Wire.number(1, $0))) }
    return Wire.message(1, Wire.number(1, Self.float16) + Wire.number(2, shape.count) + extents)
  }

  private func feature(_ name: String) -> [UInt8] {
    let array = shape.flatMap { Wire.number(1, $0) } + Wire.number(2, Self.arrayFloat16)
    return Wire.text(1, name) + Wire.message(3, Wire.message(5, array))
  }

  private func model() -> [UInt8] {
    var whole = self
    whole.append("identity", ["x": last], output: Self.output)
    let block = Wire.text(2, Self.output) + whole.operations.flatMap { Wire.message(3, $0) }
    let input = Wire.message(1, Wire.text(1, Self.input) + Wire.message(2, floats(shape)))
    let function = input + Wire.text(2, Self.opset) + Wire.entry(3, Self.opset, block)
    let description = Wire.message(1, feature(Self.input)) + Wire.message(10, feature(Self.output))
    return Wire.number(1, Self.specificationVersion) + Wire.message(2, description)
      + Wire.message(502, Wire.number(1, 1) + Wire.entry(2, "main", function))
  }
}
