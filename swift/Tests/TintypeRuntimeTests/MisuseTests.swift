import CTintype
import Foundation
import TestSupport
import Testing

@testable import TintypeRuntime

/// What a C caller can get wrong: a status and a sentence, never a trap.
@Suite struct MisuseTests {
  private let invalid = tt_status(TT_ERROR_INVALID_ARGUMENT)

  private func failure(_ call: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> tt_status) throws -> String {
    let failure = try #require(throws: Runtime.Failure.self) { try Runtime.check(call) }
    #expect(failure.status == invalid)
    return failure.message
  }

  @Test func nullHandlesAreHarmless() throws {
    let api = try Runtime.api()
    api.model_free(nil)
    api.result_free(nil)
    api.string_free(nil)
    #expect(api.function_count(nil) == 0)
    #expect(api.function_name(nil, 0) == nil)
    #expect(api.feature_count(nil, nil, tt_feature_kind(TT_INPUT)) == 0)
    #expect(api.model_metadata(nil) == nil)
    #expect(api.result_count(nil) == 0)
    #expect(api.predict(nil, nil, nil, 0, nil, nil) == invalid)
    #expect(try failure { api.feature(nil, nil, 0, 0, nil, $0) } == "feature: `model` is NULL")
    #expect(try failure { api.result_tensor(nil, 0, nil, $0) } == "result_tensor: `result` is NULL")
  }

  @Test func loadChecksItsArguments() throws {
    let api = try Runtime.api()
    var model: OpaquePointer?
    #expect(
      try failure { api.model_load("x", nil, nil, $0) }
        == "model_load: `model` is NULL; pass the address of a tt_model pointer")
    #expect(
      try failure { api.model_load(nil, nil, &model, $0) }
        == "model_load: `path` is NULL; pass the path of an .mlpackage")
    var options = tt_load_options(size: 4, units: 0, cache_folder: nil)
    #expect(
      try failure { api.model_load("x", &options, &model, $0) }
        == "model_load: options.size is 4, expected 24; set it to sizeof(tt_load_options)")
    options = tt_load_options(size: MemoryLayout<tt_load_options>.size, units: 7, cache_folder: nil)
    #expect(
      try failure { api.model_load("x", &options, &model, $0) } == "model_load: options.units is 7, expected 0 to 3")
    #expect(model == nil)
  }

  @Test(arguments: [
    ("absent", TT_ERROR_IO, "absent.mlpackage"), ("truncated", TT_ERROR_FORMAT, "weight.bin"),
    ("damaged", TT_ERROR_FORMAT, "model.mlmodel"),
  ])
  func unusablePackagesAreNamed(_ name: String, _ status: Int, _ file: String) throws {
    let failure = try #require(throws: Runtime.Failure.self) { try Runtime.Model(fixture: name) }
    #expect(failure.status == tt_status(status))
    #expect(failure.message.contains(file))
  }

  @Test func featureChecksItsArguments() throws {
    let model = try Runtime.Model(fixture: "linear")
    var feature = tt_feature()
    #expect(
      try failure { model.api.feature(model.handle, nil, 0, 1, &feature, $0) }
        == "feature: index 1 is out of range, there are 1")
    #expect(
      try failure { model.api.feature(model.handle, nil, 5, 0, &feature, $0) }
        == "feature: kind 5 is unknown, expected 0 (input), 1 (output) or 2 (state)")
    #expect(
      try failure { model.api.feature(model.handle, "f", 0, 0, &feature, $0) }
        == "function \"f\" does not exist in this package; it has \"main\"")
    #expect(
      try failure { model.api.feature(model.handle, nil, 0, 0, nil, $0) }
        == "feature: `feature` is NULL; pass the address of a tt_feature")
  }

  @Test(arguments: [
    ("no name", "predict: input 0 has no name"),
    ("no data", "predict: input \"x\" has no data (its pointer is NULL)"),
    ("dtype", "predict: input \"x\" has the unknown dtype 99"),
    ("rank", "predict: input \"x\" has rank 9, expected 0 to 8"),
    ("negative rank", "predict: input \"x\" has rank -1, expected 0 to 8"),
    (
      "negative extent",
      "[-2, 3] is no shape: extents must not be negative and their product must fit the address space"
    ),
    (
      "huge extent",
      "[9223372036854775807, 3] is no shape: extents must not be negative and their product must fit the address space"
    ),
    (
      "huge stride",
      "predict: input \"x\" has strides [9223372036854775807, 1], which reach beyond any memory"
    ),
    (
      "empty but huge",
      "input \"x\" has shape [0, 4611686018427387904], the model takes [2, 3]"
    ),
    (
      "least stride",
      "predict: input \"x\" has strides [-9223372036854775808, 1], which reach beyond any memory"
    ),
    ("shape", "input \"x\" has shape [3, 2], the model takes [2, 3]"),
    ("type", "input \"x\" is int32, the model takes float32; convert it with converted(to:)"),
    ("unknown", "input \"z\" is not one of the model's; it takes \"x\""),
  ])
  func badInputsAreNamed(_ mistake: String, _ message: String) throws {
    let model = try Runtime.Model(fixture: "linear")
    let input =
      mistake == "unknown"
      ? try Input("z", [1, 2, 3, 4, 5, 6], shape: [2, 3], strides: [3, 1]) : try Input.x()
    switch mistake {
    case "no name": input.tensor.name = nil
    case "no data": input.tensor.data = nil
    case "dtype": input.tensor.dtype = 99
    case "rank": input.tensor.rank = 9
    case "negative rank": input.tensor.rank = -1
    case "negative extent": input.tensor.shape.0 = -2
    case "huge extent": input.tensor.shape.0 = .max
    case "huge stride": input.tensor.strides.0 = .max
    case "least stride": input.tensor.strides.0 = .min
    case "empty but huge": (input.tensor.shape.0, input.tensor.shape.1) = (0, 1 << 62)
    case "shape": (input.tensor.shape.0, input.tensor.shape.1) = (3, 2)
    case "type": input.tensor.dtype = tt_dtype(TT_INT32)
    default: break
    }
    #expect(throws: Runtime.Failure(status: invalid, message: message)) { try model.run(&input.tensor) }
  }

  @Test func inputListsAreChecked() throws {
    let model = try Runtime.Model(fixture: "linear")
    let api = model.api
    var result: OpaquePointer?
    #expect(
      try failure { api.predict(model.handle, nil, nil, 2, &result, $0) }
        == "predict: `inputs` is NULL, but their count is 2")
    #expect(
      try failure { api.predict(model.handle, nil, nil, 0, &result, $0) }
        == "input \"x\" is missing; the model takes \"x\"")
    #expect(
      try failure { api.predict(model.handle, nil, nil, 0, nil, $0) }
        == "predict: `result` is NULL; pass the address of a tt_result pointer")
    let input = try Input.x()
    var twice = [input.tensor, input.tensor]
    #expect(
      try failure { api.predict(model.handle, nil, &twice, 2, &result, $0) } == "predict: input \"x\" is given twice")
    var options = tt_predict_options()
    options.size = 1
    #expect(
      try failure { api.predict(model.handle, &options, &twice, 1, &result, $0) }
        == "predict: options.size is 1, expected \(MemoryLayout<tt_predict_options>.size);"
        + " set it to sizeof(tt_predict_options)")
    #expect(result == nil)
  }

  @Test func resultsAreChecked() throws {
    let model = try Runtime.Model(fixture: "linear")
    let input = try Input.x()
    var result: OpaquePointer?
    try Runtime.check { model.api.predict(model.handle, nil, &input.tensor, 1, &result, $0) }
    defer { model.api.result_free(result) }
    var tensor = tt_tensor()
    #expect(
      try failure { model.api.result_tensor(result, 1, &tensor, $0) }
        == "result_tensor: index 1 is out of range, there are 1 outputs")
    #expect(
      try failure { model.api.result_tensor(result, 0, nil, $0) }
        == "result_tensor: `tensor` is NULL; pass the address of a tt_tensor")
  }
}
