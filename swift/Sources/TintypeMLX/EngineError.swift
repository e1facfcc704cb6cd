import CTintype

/// How a runtime's failures are told apart (`tt_status` of the C ABI).
public enum EngineStatus: Int32, Sendable, CaseIterable {
  case invalidArgument = 1
  case io, format, unsupported, runtime, outOfMemory, unavailable, cancelled
}

/// An error that knows its C status, so that it keeps it on its way through other layers.
public protocol StatusCarryingError: Error {
  var status: EngineStatus { get }
  /// One sentence: the problem, the values, the remedy.
  var message: String { get }
}

/// Why the engine cannot be used, or what it answered.
public enum EngineError: StatusCarryingError, Equatable {
  /// No engine library in any of these places.
  case libraryNotFound(searched: [String])
  /// The file is there, but the system's loader refuses it.
  case libraryNotLoadable(path: String, reason: String)
  /// The library speaks another version of the C ABI.
  case libraryIncompatible(path: String, found: String, expected: String)
  /// The engine's own words.
  case failure(EngineStatus, String)

  public var status: EngineStatus {
    switch self {
    case .libraryNotFound, .libraryNotLoadable, .libraryIncompatible: .unavailable
    case .failure(let status, _): status
    }
  }

  public var message: String {
    switch self {
    case .failure(_, let message): message
    default: "\(reason); \(remedy)"
    }
  }

  /// What is wrong, without the remedy.
  public var reason: String {
    switch self {
    case .libraryNotFound(let searched):
      "the engine library was not found (looked for \(searched.joined(separator: ", ")))"
    case .libraryNotLoadable(let path, let reason):
      "the engine library \(path) cannot be loaded: \(reason)"
    case .libraryIncompatible(let path, let found, let expected):
      "the engine library \(path) is of another version: its C ABI is \(found), expected \(expected)"
    case .failure(_, let message):
      message
    }
  }

  /// What would help.
  public var remedy: String {
    switch self {
    case .libraryNotFound:
      "build it with `make env` or `pip install .`, or set \(EngineSearch.environmentVariable) to its path"
    case .libraryNotLoadable:
      "rebuild it with `make env`, and keep the mlx version that it was built with"
    case .libraryIncompatible:
      "build the engine and this program from the same version of tintype"
    case .failure:
      ""
    }
  }
}

extension EngineError: CustomStringConvertible {
  public var description: String { message }
}

extension EngineStatus {
  /// `TT_OK` and unknown codes count as a failed computation: the caller asks only after a failure.
  init(abiValue: tt_status) {
    self = EngineStatus(rawValue: abiValue) ?? .runtime
  }
}
