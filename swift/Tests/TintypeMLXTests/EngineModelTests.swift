import Foundation
import TestSupport
import Testing

@testable import TintypeMLX

@Suite struct EngineModelTests {
  private func model(_ name: String) throws -> EngineModel {
    try EngineModel(path: Fixture.package(name).path, library: EngineLibrary.open())
  }

  private func run(_ model: EngineModel, _ inputs: [String: Tensor], function: String? = nil) throws -> [(
    String, Tensor
  )] {
    try withExtendedLifetime(inputs) {
      try model.predict(inputs.map { (name: $0.key, view: $0.value.view) }, function: function)
    }
  }

  @Test func describesWhatThePackageSays() throws {
    let description = try model("linear").modelDescription
    #expect(description.inputs == [FeatureDescription(name: "x", elementType: .float32, shape: [2, 3])])
    #expect(description.outputs == [FeatureDescription(name: "y", elementType: .float32, shape: [2, 4])])
  }

  @Test func computes() throws {
    let outputs = try run(model("linear"), ["x": Tensor(shape: [2, 3], floats: [1, 0, 0, 0, 0, 10])])
    #expect(outputs.map(\.0) == ["y"])
    #expect(outputs[0].1.shape == [2, 4])
    let expected: [Float] = [0, 1.3, 2.6, 3.9, 2, 6, 10, 14]
    for (value, wanted) in zip(outputs[0].1.floats(), expected) { #expect(abs(value - wanted) < 1e-5) }
  }

  @Test func outputsComeInThePackagesOrder() throws {
    let outputs = try run(model("multi_output"), ["x": Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6])])
    #expect(outputs.map(\.0) == ["negated", "squared", "total"])
    #expect(outputs[0].1.floats() == [-1, -2, -3, -4, -5, -6])
    #expect(outputs[2].1.floats() == [6, 15])
  }

  @Test func tensorsGoInAndOutByName() throws {
    let model = try EngineModel(path: Fixture.package("multi_output").path)
    let outputs = try model.predict(["x": Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6])])
    #expect(outputs.mapValues(\.shape) == ["negated": [2, 3], "squared": [2, 3], "total": [2]])
    #expect(outputs["total"]?.floats() == [6, 15])
    #expect(throws: EngineError.self) { try model.predict([:]) }
  }

  @Test func stridedInputsNeedNoCopy() throws {
    let columns: [Float] = [1, 4, 99, 2, 5, 99, 3, 6, 99]
    let outputs = try columns.withUnsafeBytes { bytes in
      let base = try #require(bytes.baseAddress)
      let view = TensorView(base: base, elementType: .float32, shape: [2, 3], strides: [1, 3])
      return try model("multi_output").predict([(name: "x", view: view)], function: nil)
    }
    #expect(outputs[0].1.floats() == [-1, -2, -3, -4, -5, -6])
  }

  @Test func outputsOutliveTheModel() throws {
    var model: EngineModel? = try model("integer")
    let outputs = try run(#require(model), ["ids": Tensor(shape: [1, 5], int32s: [1, 2, 3, 4, 5])])
    model = nil
    #expect(outputs[0].1.int32s() == [2, 4, 6, 8, 10])
  }

  @Test func runsTheNamedFunction() throws {
    let model = try model("two_functions")
    #expect(model.modelDescription.functions.map(\.name) == ["twice", "thrice"])
    let x = try Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6])
    #expect(try run(model, ["x": x])[0].1.floats() == [2, 4, 6, 8, 10, 12])
    #expect(try run(model, ["x": x], function: "thrice")[0].1.floats() == [3, 6, 9, 12, 15, 18])
  }

  @Test(arguments: [("truncated", "weight.bin"), ("damaged", "model.mlmodel")])
  func damagedPackagesAreRefused(_ name: String, _ file: String) throws {
    let error = try #require(throws: EngineError.self) { try model(name) }
    #expect(error.status == .format)
    #expect(error.message.contains(file))
  }

  @Test func aMissingPackageIsAnIOError() throws {
    let error = try #require(throws: EngineError.self) { try model("absent") }
    #expect(error.status == .io)
    #expect(error.message.contains("absent.mlpackage"))
  }

  @Test func wrongInputsAreNamed() throws {
    let model = try model("linear")
    let good = try Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6])
    for inputs in [
      [:], ["z": good], ["x": try good.reshaped(to: [3, 2])], ["x": try good.converted(to: .float16)],
      ["x": try Tensor.zeros(shape: [1, 1, 1, 1, 1, 1, 1, 2, 3], elementType: .float32)],
    ] {
      let error = try #require(throws: EngineError.self) { try run(model, inputs) }
      #expect(error.status == .invalidArgument)
      #expect(error.message.contains("x") || error.message.contains("z"))
    }
    #expect(throws: EngineError.self) { try run(model, ["x": good], function: "absent") }
  }

  @Test func oneModelServesManyTasks() async throws {
    let model = try model("add")
    let sums = try await withThrowingTaskGroup(of: Bool.self) { group in
      for task in 0..<32 {
        group.addTask {
          let value = Float(task)
          let a = try Tensor(shape: [2, 3], floats: [Float](repeating: value, count: 6))
          let b = try Tensor(shape: [2, 3], floats: [Float](repeating: 1, count: 6))
          let outputs = try withExtendedLifetime((a, b)) {
            try model.predict([(name: "a", view: a.view), (name: "b", view: b.view)], function: nil)
          }
          return outputs[0].1.floats() == [Float](repeating: value + 1, count: 6)
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(sums.count == 32)
    #expect(sums.allSatisfy { $0 })
  }
}
