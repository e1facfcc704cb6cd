import CTintype
import Foundation
import TestSupport
import Testing

@testable import TintypeRuntime

/// The entries of the table for states and progress.
@Suite struct StateTests {
  private func bits(_ values: [Float]) -> [UInt16] { values.map { Float16($0).bitPattern } }

  /// Runs "stateful" (y = total + x) on x = [1, 2] and returns y.
  private func run(_ model: Runtime.Model, _ options: inout tt_predict_options) throws -> [Float] {
    let api = try Runtime.api()
    var x = bits([1, 2])
    return try x.withUnsafeMutableBytes { bytes in
      try "x".withCString { name in
        var input = tt_tensor()
        (input.name, input.data, input.dtype, input.rank) = (name, bytes.baseAddress, tt_dtype(TT_FLOAT16), 1)
        (input.shape.0, input.strides.0) = (2, 1)
        var result: OpaquePointer?
        try Runtime.check { api.predict(model.handle, &options, &input, 1, &result, $0) }
        defer { api.result_free(result) }
        var output = tt_tensor()
        try Runtime.check { api.result_tensor(result, 0, &output, $0) }
        let statistics = Runtime.take(api.result_statistics(result))
        #expect((statistics != nil) == (options.collect_statistics != 0))
        if let statistics { #expect(statistics.hasPrefix("{\"seconds\": ")) }
        return UnsafeBufferPointer(start: output.data?.assumingMemoryBound(to: Float16.self), count: 2).map {
          Float($0)
        }
      }
    }
  }

  private func options(_ state: OpaquePointer?) -> tt_predict_options {
    var options = tt_predict_options()
    options.size = MemoryLayout<tt_predict_options>.size
    options.state = state
    return options
  }

  @Test func viewsAreWrittenBackAtThePredict() throws {
    let (api, model) = (try Runtime.api(), try Runtime.Model(fixture: "stateful"))
    var state: OpaquePointer?
    try Runtime.check { api.state_new(model.handle, nil, &state, $0) }
    defer { api.state_free(state) }
    var options = options(state)
    #expect(try run(model, &options) == [1, 2])
    var view = tt_tensor()
    try Runtime.check { api.state_tensor(state, "total", &view, $0) }
    #expect(view.rank == 1 && view.shape.0 == 2 && view.dtype == tt_dtype(TT_FLOAT16))
    view.data.assumingMemoryBound(to: Float16.self)[1] = 20
    options.collect_statistics = 1
    #expect(try run(model, &options) == [1, 22])
    try Runtime.check { api.state_tensor(state, "total", &view, $0) }
    #expect(view.data.assumingMemoryBound(to: Float16.self)[1] == 20)
  }

  @Test func misuseIsNamed() throws {
    let (api, model) = (try Runtime.api(), try Runtime.Model(fixture: "stateful"))
    let other = try Runtime.Model(fixture: "stateful")
    var (state, view) = (OpaquePointer(bitPattern: 0), tt_tensor())
    func message(_ call: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> tt_status) -> String? {
      do { try Runtime.check(call) } catch let error as Runtime.Failure { return error.message } catch {}
      return nil
    }
    #expect(message { api.state_new(nil, nil, &state, $0) } == "state_new: `model` is NULL")
    #expect(message { api.state_new(model.handle, "absent", &state, $0) }?.contains("absent") == true)
    #expect(message { api.state_tensor(nil, "total", &view, $0) } == "state_tensor: `state` is NULL")
    try Runtime.check { api.state_new(model.handle, nil, &state, $0) }
    #expect(message { api.state_tensor(state, "x", &view, $0) }?.contains("the model has no state \"x\"") == true)
    #expect(message { api.state_tensor(state, nil, &view, $0) }?.contains("`name` is NULL") == true)
    var options = options(state)
    let foreign = #expect(throws: Runtime.Failure.self) { try run(other, &options) }
    #expect(foreign?.message == "predict: the state belongs to another model")
    api.state_free(state)
    api.state_free(nil)
  }

  @Test func anyAnswerButZeroCancels() throws {
    let (api, model) = (try Runtime.api(), try Runtime.Model(fixture: "stateful"))
    var state: OpaquePointer?
    try Runtime.check { api.state_new(model.handle, nil, &state, $0) }
    defer { api.state_free(state) }
    var options = options(state)
    var calls: Int32 = 0
    options.progress = { context, share in
      #expect((0...1).contains(share))
      guard let calls = context?.assumingMemoryBound(to: Int32.self) else { return 1 }
      calls.pointee += 1
      return 0
    }
    let answer = try withUnsafeMutablePointer(to: &calls) { pointer in
      options.progress_context = UnsafeMutableRawPointer(pointer)
      return try run(model, &options)
    }
    #expect(answer == [1, 2] && calls >= 2)
    options.progress = { _, _ in 7 }
    let error = #expect(throws: Runtime.Failure.self) { try run(model, &options) }
    #expect(error?.status == tt_status(TT_ERROR_CANCELLED))
  }
}
