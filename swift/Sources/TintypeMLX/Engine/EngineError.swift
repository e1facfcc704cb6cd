import CTintype

/// How a runtime's failures are told apart (`tt_status` of the C ABI).
public enum EngineStatus: Int32, Sendable, CaseIterable {
  /// A name, shape, element type or value that the call does not take.
  case invalidArgument = 1
  /// A file is missing or cannot be read.
  case io
  /// A package is damaged, or is no ML Program.
  case format
  /// An op or a type that this release does not run.
  case unsupported
  /// The computation failed.
  case runtime
  /// Memory ran out.
  case outOfMemory
  /// The runtime cannot work on this machine, or not at this moment.
  case unavailable
  /// The caller ended the call.
  case cancelled
}

/// An error that knows its C status, so that it keeps it on its way through other layers.
package protocol StatusCarryingError: Error {
  /// What the C ABI returns for it.
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

  /// What the C ABI returns for it.
  public var status: EngineStatus {
    switch self {
    case .libraryNotFound, .libraryNotLoadable, .libraryIncompatible: .unavailable
    case .failure(let status, _): status
    }
  }

  /// The problem and the remedy; the engine's own words where it failed.
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
      "embed it in the app as docs/embedding.md says, or set \(EngineSearch.environmentVariable) to its path"
    case .libraryNotLoadable:
      "build it again, and keep the mlx version that it was built with"
    case .libraryIncompatible:
      "build the engine and this program from the same version of tintype"
    case .failure:
      ""
    }
  }
}

extension EngineError: ExplainedError {
  package var explanation: (problem: String, remedy: String?) { (reason, remedy.isEmpty ? nil : remedy) }
  public var description: String { message }
}

extension EngineStatus {
  /// `TT_OK` and unknown codes count as a failed computation: the caller asks only after a failure.
  init(abiValue: tt_status) {
    self = EngineStatus(rawValue: abiValue) ?? .runtime
  }
}
