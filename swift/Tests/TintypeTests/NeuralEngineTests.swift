import Foundation
import TestSupport
import Testing
import TintypePackages

@testable import Tintype

/// The rules and counts of python/tintype/neural_engine; tests/parity/test_neural_engine.py holds both to each other on
/// whole models.
@Suite struct NeuralEngineTests {
  private func tensor(_ shape: [Int], _ dtype: String = "float16") -> ProgramTensor {
    ProgramTensor(dtype: dtype, shape: shape, bits: dtype == "float32" ? 32 : 16)
  }

  /// A function of one operation "y" on values named like its arguments.
  private func function(
    _ kind: String, _ inputs: [(String, ProgramTensor)] = [], _ outputs: ProgramTensor...,
    constants: [String: ProgramConstant] = [:]
  ) -> ProgramFunction {
    let names = inputs.map(\.0) + constants.keys.sorted().filter { name in !inputs.contains { $0.0 == name } }
    let operation = ProgramOperation(
      kind: kind, inputs: names.map { .init(name: $0, values: [$0]) },
      outputs: outputs.map { .init(name: "y", tensor: $0) })
    return ProgramFunction(
      name: "main", operations: [operation], constants: constants,
      tensors: Dictionary(uniqueKeysWithValues: inputs))
  }

  private func complaint(_ function: ProgramFunction) -> String? {
    NeuralEngineRules(function: function).complaint(function.operations[0]).map { "\($0.rule): \($0.reason)" }
  }

  private func work(_ function: ProgramFunction) -> Int { function.floatingPointOperations(function.operations[0]) }

  @Test func everyRuleIsBrokenByItsOwn() {
    let row = tensor([1, 8, 64])
    #expect(complaint(function("add", [("x", row)], row)) == nil)
    #expect(complaint(function("constexpr_lut_to_dense", [], tensor([4], "float32"))) == nil)
    #expect(complaint(function("silu", [("x", row)], row)) == "fall-back: leaves as an op: write x·sigmoid(x)")
    #expect(complaint(function("add", [("x", tensor([1, -1]))], row)) == "shape: the shape [1, -1] is not fixed")
    #expect(complaint(function("add", [("x", tensor([1], "float32"))], row)) == "dtype: float32 is not float16")
    #expect(complaint(function("equal", [("x", row)], tensor([1], "bool"))) == "dtype: bool results are not float16")
    #expect(complaint(function("add", [("x", tensor([1, 1, 1, 1, 1, 1]))], row)) == "rank: rank 6 is above 5")
    #expect(
      complaint(function("linear", [("x", row)], row))
        == "layout: linear: a 1×1 convolution of (B, C, 1, S) keeps the layout of the Neural Engine")
    let thin = tensor([1, 1500, 100, 1])
    #expect(complaint(function("mul", [("x", thin)], thin)) == "width: a last axis of 1 pads [1, 1500, 100, 1] by 9 MB")
  }

  @Test func attentionIsSplit() {
    let (row, scores) = (tensor([1, 64, 64]), tensor([1, 8192, 1, 8192]))
    let fused = complaint(function("scaled_dot_product_attention", [("query", row)], row))
    #expect(fused == "attention: the fused attention runs on the GPU: split it by head and by chunk of queries")
    #expect(
      complaint(function("matmul", [("x", row), ("y", row)], row))
        == "attention: a product of activations as matmul: write it as an einsum nchw,nwhu->nchu")
    #expect(complaint(function("matmul", [("x", row)], row, constants: ["y": ProgramConstant(tensor: row)])) == nil)
    let own = ["equation": ProgramConstant(text: "nchw,nwhu->nchu")]
    let other = ["equation": ProgramConstant(text: "bij,bjk->bik")]
    #expect(complaint(function("einsum", [("values", row)], row, constants: own)) == nil)
    #expect(
      complaint(function("einsum", [("values", row)], row, constants: other))
        == "attention: the einsum bij,bjk->bik is not Core ML's own")
    #expect(
      complaint(function("softmax", [("x", scores)], scores))
        == "attention: 134 MB of scores at once: attend in chunks of queries")
  }

  @Test func kernelsAreLimited() {
    let row = tensor([1, 4, 32, 32])
    func conv(_ kernel: Int, dilation: Int = 1) -> String? {
      complaint(
        function(
          "conv", [("x", row), ("weight", tensor([4, 4, kernel, 1]))], row,
          constants: ["dilations": ProgramConstant(integers: [1, dilation])]))
    }
    #expect(conv(13) == nil && conv(14) == "limits: a kernel of 14 is above 13")
    #expect(conv(3, dilation: 2) == "limits: dilated convolutions run on the CPU or GPU")
    let pool = ["kernel_sizes": ProgramConstant(integers: [2, 2]), "strides": ProgramConstant(integers: [3, 3])]
    #expect(
      complaint(function("max_pool", [("x", row)], row, constants: pool))
        == "limits: a pool of kernel 2, stride 3 is above 13, 2")
  }

  @Test func workIsCounted() {
    let (bias, y) = (tensor([8]), tensor([1, 8, 6, 5]))
    // 8·6·5 outputs of 4·3·3 multiply-adds and a bias
    let weight = tensor([8, 4, 3, 3])
    #expect(work(function("conv", [("x", y), ("weight", weight), ("bias", bias)], y)) == 240 * 72 + 240)
    #expect(work(function("conv_transpose", [("x", y), ("weight", weight)], y)) == 240 * 72)
    #expect(work(function("linear", [("x", tensor([2, 3, 5]))], tensor([2, 3, 6]))) == 36 * 10)
    let product = function("matmul", [("x", tensor([2, 3, 6])), ("y", tensor([2, 6, 7]))], tensor([2, 3, 7]))
    #expect(work(product) == 2 * 42 * 6)
    let heads = tensor([1, 2, 40, 32])
    let fused = function("scaled_dot_product_attention", [("query", heads), ("key", heads)], heads)
    #expect(work(fused) == 2 * 40 * 40 * (4 * 32 + 5))
    #expect(work(function("reduce_mean", [("x", y)], bias)) == 240 && work(function("gelu", [("x", y)], y)) == 240 * 8)
    #expect(work(function("transpose", [("x", y)], y)) == 0 && work(function("add", [], tensor([4], "int32"))) == 0)
    let flexible = tensor([1, -1, 4])
    #expect(work(function("scaled_dot_product_attention", [("query", flexible), ("key", flexible)], flexible)) == 21)
  }

  @Test func absurdExtentsEndAtALimit() {
    let vast = tensor([.max, .max, 3])
    let all = function("conv", [("x", vast), ("weight", vast), ("bias", vast)], vast)
    #expect(work(all) > 0 && NeuralEngineForecast(all).valueBytes > 0)
    for kind in ["linear", "matmul", "einsum", "softmax", "scaled_dot_product_attention"] {
      #expect(NeuralEngineForecast(function(kind, [("x", vast), ("query", vast), ("key", vast)], vast)).ops == 1)
    }
  }

  @Test func whatIsNoProgramIsRefused() throws {
    #expect(throws: BackendError.self) { try NeuralEngineForecast(package: Fixture.package("damaged")) }
    let error = try #require(throws: BackendError.self) { try NeuralEngineForecast(package: Fixture.root) }
    #expect("\(error)".contains("is not an .mlpackage: it has no Manifest.json"))
    #expect(try ProgramFunction.all(parsing: [8, 9]) == nil)
  }

  /// A bit changed at a time: an error or another forecast, never a trap.
  @Test(arguments: ["linear", "stateful", "two_functions"]) func damageIsNoTrap(_ name: String) throws {
    let file = Fixture.package(name).appendingPathComponent("Data/com.apple.CoreML/model.mlmodel")
    let whole = [UInt8](try Data(contentsOf: file))
    var read = 0
    for position in whole.indices {
      var bytes = whole
      bytes[position] ^= 1 << UInt8(position % 8)
      guard let functions = try? ProgramFunction.all(parsing: bytes) else { continue }
      for function in functions where NeuralEngineForecast(function).ops >= 0 { read += 1 }
    }
    #expect(read > 0)
  }
}
