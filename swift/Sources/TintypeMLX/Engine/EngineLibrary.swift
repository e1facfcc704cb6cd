import CTintype

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The C++ engine, opened at run time. One instance a library file, kept for the life of the process.
public final class EngineLibrary: Sendable {
  /// The library file.
  public let path: String
  /// The engine's functions, checked to be there and of this ABI version. C function pointers never change.
  nonisolated(unsafe) let api: tt_api

  private static let opened = Locked<[String: EngineLibrary]>([:])

  /// Opens the engine at `path`, or where `EngineSearch` finds it. Throws `EngineError`.
  public static func open(at path: String? = nil) throws -> EngineLibrary {
    let (found, searched) = EngineSearch.find(explicit: path)
    guard let found else { throw EngineError.libraryNotFound(searched: searched) }
    return try opened.withLock { libraries in
      if let library = libraries[found] { return library }
      let library = try EngineLibrary(opening: found)
      libraries[found] = library
      return library
    }
  }

  private init(opening path: String) throws {
    guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
      throw EngineError.libraryNotLoadable(path: path, reason: dlerror().map { String(cString: $0) } ?? "unknown")
    }
    guard let symbol = dlsym(handle, "tintype_engine_api") else {
      throw EngineError.libraryNotLoadable(path: path, reason: "it does not export tintype_engine_api")
    }
    typealias Entry = @convention(c) (UInt32) -> UnsafePointer<tt_api>?
    let entry = unsafeBitCast(symbol, to: Entry.self)
    let expected = UInt32(TT_ABI_VERSION)
    guard let table = entry(expected) else {
      throw EngineError.libraryIncompatible(path: path, found: "another", expected: "version \(expected)")
    }
    try EngineLibrary.check(table, of: path)
    self.path = path
    api = table.pointee
  }

  /// Refuses a table of another version or with holes: a call through one would end the process.
  static func check(_ table: UnsafePointer<tt_api>, of path: String) throws {
    let expected = UInt32(TT_ABI_VERSION)
    let (version, size) = (table.pointee.abi_version, Int(table.pointee.size))
    guard version == expected, size >= MemoryLayout<tt_api>.size else {
      throw EngineError.libraryIncompatible(
        path: path, found: "version \(version) with \(size) bytes of entries",
        expected: "version \(expected) with \(MemoryLayout<tt_api>.size)")
    }
    guard EngineLibrary.isComplete(table.pointee) else {
      throw EngineError.libraryIncompatible(
        path: path, found: "version \(version) with empty entries", expected: "version \(expected)")
    }
  }

  private static func isComplete(_ api: tt_api) -> Bool {
    api.describe_runtime != nil && api.available != nil && api.model_load != nil && api.model_free != nil
      && api.function_count != nil && api.function_name != nil && api.feature_count != nil && api.feature != nil
      && api.model_metadata != nil && api.predict != nil && api.result_count != nil && api.result_tensor != nil
      && api.result_free != nil && api.string_free != nil && api.state_new != nil && api.state_free != nil
      && api.state_tensor != nil && api.result_statistics != nil && api.compute_plan != nil
      && api.verdict_file != nil
  }

  /// The engine's own description of itself: JSON with name, version, implementation, device.
  public var descriptionJSON: String? { takeString(api.describe_runtime()) }

  /// Throws the engine's reason when it cannot run models on this machine.
  public func checkAvailability() throws {
    try check { api.available($0) }
  }

  /// Calls a function of the table and turns a failure into `EngineError.failure`.
  func check(_ call: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> tt_status) throws {
    var error: UnsafeMutablePointer<CChar>?
    let status = call(&error)
    let message = takeString(error)
    guard status != tt_status(TT_OK) else { return }
    throw EngineError.failure(
      EngineStatus(abiValue: status), message ?? "the engine failed with status \(status) and no message")
  }

  /// A Swift copy of a string that the engine allocated, which is freed.
  func takeString(_ pointer: UnsafeMutablePointer<CChar>?) -> String? {
    guard let pointer else { return nil }
    defer { api.string_free(pointer) }
    return String(cString: pointer)
  }
}
