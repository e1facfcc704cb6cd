import CoreML
import TestSupport
import Testing

@Suite struct DescriptionTests {
  private func constraint(_ name: String) throws -> MLMultiArrayConstraint {
    let input = try Compiled(name).model().modelDescription.inputDescriptionsByName["x"]
    return try #require(input?.multiArrayConstraint)
  }

  private func run(_ name: String, rows: Int) throws -> MLMultiArray? {
    let input = MLMultiArray(MLShapedArray<Float>(repeating: 2, shape: [rows, 3]))
    return try Compiled(name).model().prediction(from: MLDictionaryFeatureProvider(dictionary: ["x": input]))
      .featureValue(for: "doubled")?.multiArrayValue
  }

  @Test func rangesAreTold() throws {
    let constraint = try constraint("ranges")
    #expect(constraint.shape == [2, 3])
    #expect(constraint.shapeConstraint.type == .range)
    #expect(constraint.shapeConstraint.enumeratedShapes.isEmpty)
    #if !TINTYPE_ESSENTIALS_ONLY
      #expect(
        constraint.shapeConstraint.sizeRangeForDimension.map(\.rangeValue)
          == [NSRange(location: 1, length: 4), NSRange(location: 3, length: 1)])
    #endif
  }

  @Test func enumeratedShapesAreTold() throws {
    let constraint = try constraint("enumerated")
    #expect(constraint.shape == [2, 3])
    #expect(constraint.shapeConstraint.type == .enumerated)
    #expect(Set(constraint.shapeConstraint.enumeratedShapes) == [[2, 3], [4, 3]])
  }

  @Test(arguments: [("ranges", 1), ("ranges", 4), ("enumerated", 2), ("enumerated", 4)])
  func allowedShapesRun(_ name: String, _ rows: Int) throws {
    let output = try #require(try run(name, rows: rows))
    #expect(output.shape == [NSNumber(value: rows), 3] && output[0] == 4)
  }

  @Test(arguments: [("ranges", 5), ("enumerated", 3)])
  func otherShapesDoNot(_ name: String, _ rows: Int) throws {
    let error = try #require(throws: MLModelError.self) { try run(name, rows: rows) }
    #expect(error.code == .featureType)
    #expect(error.errorDescription?.contains("(\(rows) × 3) is not compatible") == true)
    let input = try #require(try Compiled(name).model().modelDescription.inputDescriptionsByName["x"])
    let array = MLMultiArray(MLShapedArray<Float>(repeating: 0, shape: [rows, 3]))
    #expect(!input.isAllowedValue(MLFeatureValue(multiArray: array)))
  }

  @Test func thePlanIsTheCPU() async throws {
    let compiled = try Compiled("multi_output")
    let plan = try await MLComputePlan.load(contentsOf: compiled.url, configuration: MLModelConfiguration())
    guard case .program(let program) = plan.modelStructure else {
      Issue.record("the model is no program")
      return
    }
    let block = try #require(program.functions["main"]?.block)
    #expect(block.outputNames == ["negated", "squared", "total"])
    #expect(block.operations.map(\.operatorName).contains("ios16.mul"))
    for operation in block.operations {
      let usage = plan.deviceUsage(for: operation)
      #expect((usage == nil) == (operation.operatorName == "const"))
      if let usage, case .cpu = usage.preferred { #expect(usage.supported.count == 1) }
      #expect(plan.estimatedCost(of: operation) == nil)
    }
    let product = try #require(block.operations.first { $0.operatorName == "ios16.mul" })
    guard case .name(let x)? = product.inputs["x"]?.bindings.first else {
      Issue.record("the product has no input x")
      return
    }
    #expect(x == "x" && product.outputs.count == 1)
  }

  @Test func assetsTellWhatTheyAre() async throws {
    let compiled = try Compiled("two_functions")
    let asset = try MLModelAsset(url: compiled.url)
    #expect(try await asset.functionNames == ["twice", "thrice"])
    #expect(try await asset.modelDescription(of: "thrice").outputDescriptionsByName["y"] != nil)
    let model = try await MLModel.load(asset: asset, configuration: MLModelConfiguration())
    #expect(model.modelDescription.inputDescriptionsByName["x"] != nil)
    #expect(throws: MLModelError.self) { try MLModelAsset(url: Fixture.package("linear")) }
  }

  @Test func theCPUIsTheOnlyDevice() {
    #expect(MLModel.availableComputeDevices.map(\.description) == ["CPU"])
    guard case .cpu = MLComputeDevice.allComputeDevices[0] else {
      Issue.record("the first device is not the CPU")
      return
    }
  }

  @Test func hintsAreKept() throws {
    let model = try Compiled("linear").model {
      $0.optimizationHints.reshapeFrequency = .infrequent
      $0.optimizationHints.specializationStrategy = .fastPrediction
    }
    #expect(model.configuration.optimizationHints.reshapeFrequency == .infrequent)
    #expect(model.configuration.optimizationHints.specializationStrategy == .fastPrediction)
    #expect([MLOptimizationHints.ReshapeFrequency.frequent, .infrequent].map(\.rawValue) == [0, 1])
    #expect([MLOptimizationHints.SpecializationStrategy.default, .fastPrediction].map(\.rawValue) == [0, 1])
  }
}
