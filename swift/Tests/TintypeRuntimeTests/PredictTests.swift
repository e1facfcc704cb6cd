import CTintype
import Foundation
import TestSupport
import Testing

@testable import TintypeRuntime

/// A caller's tensor of float32 over an array and a name that live as long as the object.
final class Input {
  private let values: UnsafeMutablePointer<Float>
  private let name: UnsafeMutablePointer<CChar>
  var tensor = tt_tensor()

  init(_ name: String, _ values: [Float], shape: [Int64], strides: [Int64], start: Int = 0) throws {
    self.values = .allocate(capacity: values.count)
    self.values.initialize(from: values, count: values.count)
    self.name = try #require(strdup(name))
    tensor.name = UnsafePointer(self.name)
    tensor.data = UnsafeMutableRawPointer(self.values + start)
    tensor.dtype = tt_dtype(TT_FLOAT32)
    tensor.rank = Int32(shape.count)
    (tensor.shape.0, tensor.shape.1) = (shape[0], shape[1])
    (tensor.strides.0, tensor.strides.1) = (strides[0], strides[1])
  }

  deinit {
    values.deallocate()
    free(name)
  }

  /// x = [[1, 2, 3], [4, 5, 6]].
  static func x() throws -> Input { try Input("x", [1, 2, 3, 4, 5, 6], shape: [2, 3], strides: [3, 1]) }
}

@Suite struct PredictTests {
  @Test func computesEveryOutputInOrder() throws {
    let outputs = try Runtime.Model(fixture: "multi_output").run(&Input.x().tensor)
    #expect(outputs.map(\.name) == ["negated", "squared", "total"])
    #expect(outputs[0].values == [-1, -2, -3, -4, -5, -6])
    #expect(outputs[1].shape == [2, 3])
    #expect(outputs[2].shape == [2])
    #expect(outputs[2].values == [6, 15])
  }

  @Test(
    arguments: [
      ([1, 4, 2, 5, 3, 6], [1, 2], 0),  // transposed
      ([1, 2, 3, 0, 0, 4, 5, 6], [5, 1], 0),  // padded rows
      ([6, 5, 4, 3, 2, 1], [-3, -1], 5),  // reversed
    ] as [([Float], [Int64], Int)])
  func honoursStrides(_ memory: [Float], _ strides: [Int64], _ start: Int) throws {
    let input = try Input("x", memory, shape: [2, 3], strides: strides, start: start)
    #expect(try Runtime.Model(fixture: "multi_output").run(&input.tensor)[0].values == [-1, -2, -3, -4, -5, -6])
  }

  @Test func runsTheNamedFunction() throws {
    let model = try Runtime.Model(fixture: "two_functions")
    #expect(model.api.function_count(model.handle) == 2)
    #expect(model.api.function_name(model.handle, 0).map { String(cString: $0) } == "twice")
    #expect(model.api.function_name(model.handle, 2) == nil)
    #expect(try model.run(&Input.x().tensor)[0].values == [2, 4, 6, 8, 10, 12])
    #expect(try model.run(&Input.x().tensor, function: "thrice")[0].values == [3, 6, 9, 12, 15, 18])
    #expect(
      throws: Runtime.Failure(
        status: tt_status(TT_ERROR_INVALID_ARGUMENT),
        message: "function \"fourfold\" does not exist in this package; it has \"twice\", \"thrice\"")
    ) { try model.run(&Input.x().tensor, function: "fourfold") }
  }

  @Test func describesFeatures() throws {
    let model = try Runtime.Model(fixture: "linear")
    #expect(model.api.feature_count(model.handle, nil, tt_feature_kind(TT_INPUT)) == 1)
    #expect(model.api.feature_count(model.handle, nil, tt_feature_kind(TT_STATE)) == 0)
    #expect(model.api.feature_count(model.handle, "absent", tt_feature_kind(TT_INPUT)) == 0)
    #expect(model.api.feature_count(model.handle, nil, 9) == 0)
    var feature = tt_feature()
    try Runtime.check { model.api.feature(model.handle, nil, tt_feature_kind(TT_OUTPUT), 0, &feature, $0) }
    #expect(String(cString: feature.name) == "y")
    #expect(feature.dtype == tt_dtype(TT_FLOAT32))
    #expect(feature.rank == 2)
    #expect([feature.shape.0, feature.shape.1] == [2, 4])
  }

  @Test func metadataIsJSON() throws {
    let model = try Runtime.Model(fixture: "linear")
    let text = try #require(Runtime.take(model.api.model_metadata(model.handle)))
    let fields = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    #expect(fields["specification_version"] as? Int == 7)
    #expect(fields["weight_bytes"] as? Int == 176)
    let functions = try #require(fields["functions"] as? [String: [String: [String: Int]]])
    #expect(functions["main"]?["ops"]?["linear"] == 1)
    #expect((fields["metadata"] as? [String: String])?["author"] == "Tintype")
  }

  @Test func usesTheCallersCacheFolder() throws {
    let folder = try TemporaryFolder()
    try folder.url.path.withCString { path in
      let options = tt_load_options(
        size: MemoryLayout<tt_load_options>.size, units: tt_compute_units(TT_UNITS_CPU_ONLY), cache_folder: path)
      _ = try Runtime.Model(Fixture.package("linear").path, options: options).run(&Input.x().tensor)
    }
    #expect(try folder.names().filter { $0.hasSuffix(".mlmodelc") }.count == 1)
  }

  @Test func manyThreadsMayPredict() async throws {
    // Each task has a model pointer and an input of its own making; the model is shared.
    nonisolated(unsafe) let model = try Runtime.Model(fixture: "multi_output")
    let results = try await withThrowingTaskGroup(of: [Float].self) { group in
      for _ in 0..<16 { group.addTask { try model.run(&Input.x().tensor)[2].values } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(results == [[Float]](repeating: [6, 15], count: 16))
  }
}
