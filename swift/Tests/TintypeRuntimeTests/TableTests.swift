import CTintype
import Foundation
import TestSupport
import Testing
import TintypeBackends

@testable import TintypeRuntime

@Suite struct TableTests {
  @Test func onlyThisVersionGetsATable() throws {
    #expect(coreMLRuntimeTable(abiVersion: 0) == nil)
    #expect(coreMLRuntimeTable(abiVersion: UInt32(TT_ABI_VERSION) + 1) == nil)
    let table = try #require(coreMLRuntimeTable(abiVersion: UInt32(TT_ABI_VERSION)))
    #expect(table.pointee.abi_version == UInt32(TT_ABI_VERSION))
    #expect(Int(table.pointee.size) == MemoryLayout<tt_api>.size)
    #expect(String(cString: table.pointee.name) == "coreml")
  }

  @Test func describesItselfHonestly() throws {
    let api = try Runtime.api()
    let text = try #require(Runtime.take(api.describe_runtime()))
    let fields = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    #expect(fields["name"] as? String == "coreml")
    #expect(fields["version"] as? String == TT_VERSION)
    #expect((fields["os"] as? String)?.isEmpty == false)
    #if os(Linux)
      #expect(fields["implementation"] as? String == "portable")
      #expect(fields["compute_units"] as? [String] == ["cpu"])
      #expect((fields["device"] as? [String: String])?["kind"] == "cpu")
      #expect(!text.contains("Neural"))
    #else
      #expect(fields["implementation"] as? String == "apple")
    #endif
  }

  @Test func plansWhereOperationsRun() throws {
    let api = try Runtime.api()
    var json: UnsafeMutablePointer<CChar>?
    var options = tt_load_options()
    options.size = MemoryLayout<tt_load_options>.size
    options.units = tt_compute_units(TT_UNITS_CPU_ONLY)
    try Runtime.check { api.compute_plan(Fixture.package("multi_output").path, &options, &json, $0) }
    let text = try #require(Runtime.take(json))
    let plan = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    #expect(plan["units"] as? String == "cpu" && plan["function"] as? String == "main")
    #expect((plan["devices"] as? [String: Any])?.keys.sorted() == ["cpu"])
    #expect((plan["elsewhere"] as? [Any])?.isEmpty == true)
    let absent = #expect(throws: Runtime.Failure.self) {
      try Runtime.check { api.compute_plan("absent.mlpackage", nil, &json, $0) }
    }
    #expect(absent?.status == tt_status(TT_ERROR_IO) && json == nil)
    let null = #expect(throws: Runtime.Failure.self) { try Runtime.check { api.compute_plan(nil, nil, &json, $0) } }
    #expect(null?.message == "compute_plan: `path` is NULL; pass the path of an .mlpackage")
    options.size = 3
    let size = #expect(throws: Runtime.Failure.self) {
      try Runtime.check { api.compute_plan("x", &options, &json, $0) }
    }
    #expect(size?.message.hasPrefix("compute_plan: options.size is 3, expected") == true)
  }

  @Test func namesTheFileOfAVerdict() throws {
    let api = try Runtime.api()
    var file: UnsafeMutablePointer<CChar>?
    var options = tt_load_options()
    options.size = MemoryLayout<tt_load_options>.size
    var names: Set<String> = []
    for units in [TT_UNITS_ALL, TT_UNITS_CPU_ONLY] {
      options.units = tt_compute_units(units)
      try Runtime.check { api.verdict_file(Fixture.package("multi_output").path, &options, &file, $0) }
      names.insert(try #require(Runtime.take(file)))
    }
    #expect(names.count == 2)
    // The same file that the Swift package itself reads.
    #expect(
      names.contains(try #require(runtime.verdictFile(of: Fixture.package("multi_output"), units: .cpuOnly)).path))
    let absent = #expect(throws: Runtime.Failure.self) {
      try Runtime.check { api.verdict_file("absent.mlpackage", nil, &file, $0) }
    }
    #expect(absent?.status == tt_status(TT_ERROR_IO) && file == nil)
    let null = #expect(throws: Runtime.Failure.self) { try Runtime.check { api.verdict_file(nil, nil, &file, $0) } }
    #expect(null?.message == "verdict_file: `path` is NULL; pass the path of an .mlpackage")
  }

  @Test func isAvailable() throws {
    let api = try Runtime.api()
    try Runtime.check { api.available($0) }
    #expect(api.available(nil) == tt_status(TT_OK))
  }
}

/// The table and small helpers to call it.
enum Runtime {
  struct Failure: Error, Equatable {
    let status: tt_status
    let message: String
  }

  static func api() throws -> tt_api {
    try #require(coreMLRuntimeTable(abiVersion: UInt32(TT_ABI_VERSION))).pointee
  }

  static func take(_ string: UnsafeMutablePointer<CChar>?) -> String? {
    guard let string else { return nil }
    defer { coreMLRuntimeTable(abiVersion: UInt32(TT_ABI_VERSION))?.pointee.string_free(string) }
    return String(cString: string)
  }

  /// Throws what a call answers when it fails; a success must leave no message.
  static func check(_ call: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> tt_status) throws {
    var error: UnsafeMutablePointer<CChar>? = nil
    let status = call(&error)
    let message = take(error)
    guard status != tt_status(TT_OK) else {
      #expect(message == nil)
      return
    }
    throw Failure(status: status, message: message ?? "no message")
  }

  /// A loaded fixture; freed with the object.
  final class Model {
    let api: tt_api
    let handle: OpaquePointer

    init(_ path: String, options: tt_load_options? = nil) throws {
      api = try Runtime.api()
      let table = api
      var handle: OpaquePointer?
      try Runtime.check { error in
        guard var options else { return table.model_load(path, nil, &handle, error) }
        return table.model_load(path, &options, &handle, error)
      }
      self.handle = try #require(handle)
    }

    convenience init(fixture: String) throws { try self.init(Fixture.package(fixture).path) }

    deinit { api.model_free(handle) }

    /// Runs it on one input and reads all outputs as float32.
    func run(_ input: inout tt_tensor, function: String? = nil) throws -> [(
      name: String, shape: [Int64], values: [Float]
    )] {
      var result: OpaquePointer?
      try Runtime.check { error in
        var options = tt_predict_options()
        options.size = MemoryLayout<tt_predict_options>.size
        guard let function else { return api.predict(handle, nil, &input, 1, &result, error) }
        return function.withCString { name in
          options.function = name
          return api.predict(handle, &options, &input, 1, &result, error)
        }
      }
      let outputs = try #require(result)
      defer { api.result_free(outputs) }
      return try (0..<api.result_count(outputs)).map { index in
        var tensor = tt_tensor()
        try Runtime.check { api.result_tensor(outputs, index, &tensor, $0) }
        let shape = [tensor.shape.0, tensor.shape.1, tensor.shape.2].prefix(Int(tensor.rank))
        let count = Int(shape.reduce(1, *))
        let values = tensor.data.bindMemory(to: Float.self, capacity: count)
        return (String(cString: tensor.name), Array(shape), (0..<count).map { values[$0] })
      }
    }
  }
}
