import TintypeMLX

/// Why a backend did not do what it was asked; each case holds the values, its description also the remedy.
public enum BackendError: Error, Sendable, Equatable {
  /// The backend does not exist on this machine.
  case unavailable(backend: BackendKind, reason: String, remedy: String)
  case missingInput(name: String, known: [String])
  case unknownInput(name: String, known: [String])
  case unknownFunction(name: String, known: [String])
  case shapeMismatch(name: String, expected: [Int], actual: [Int])
  /// A picture of another size than the model takes; both in pixels across × down.
  case imageSizeMismatch(name: String, expected: String, actual: String)
  case elementTypeMismatch(name: String, expected: ElementType, actual: ElementType)
  /// The backend itself refused or failed; the text is its own.
  case failed(backend: BackendKind, kind: FailureKind, message: String)

  /// What went wrong, as the C ABI tells it apart.
  public enum FailureKind: String, Sendable, CaseIterable {
    case invalidArgument, io, format, unsupported, runtime, outOfMemory, unavailable, cancelled

    /// The kind that a status of the C ABI stands for.
    public init(_ status: EngineStatus) {
      self =
        switch status {
        case .invalidArgument: .invalidArgument
        case .io: .io
        case .format: .format
        case .unsupported: .unsupported
        case .runtime: .runtime
        case .outOfMemory: .outOfMemory
        case .unavailable: .unavailable
        case .cancelled: .cancelled
        }
    }

    /// The code in the C ABI.
    public var status: EngineStatus {
      switch self {
      case .invalidArgument: .invalidArgument
      case .io: .io
      case .format: .format
      case .unsupported: .unsupported
      case .runtime: .runtime
      case .outOfMemory: .outOfMemory
      case .unavailable: .unavailable
      case .cancelled: .cancelled
      }
    }
  }

  /// What went wrong, for every case.
  public var kind: FailureKind {
    switch self {
    case .unavailable: .unavailable
    case .missingInput, .unknownInput, .unknownFunction, .shapeMismatch, .imageSizeMismatch, .elementTypeMismatch:
      .invalidArgument
    case .failed(_, let kind, _): kind
    }
  }
}

extension BackendError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unavailable(let backend, let reason, let remedy):
      "backend \"\(backend.rawValue)\" cannot run here: \(reason); \(remedy)"
    case .missingInput(let name, let known):
      "input \"\(name)\" is missing; the model takes \(list(known))"
    case .unknownInput(let name, let known):
      "input \"\(name)\" is not one of the model's; it takes \(list(known))"
    case .unknownFunction(let name, let known):
      "function \"\(name)\" does not exist in this package; it has \(list(known))"
    case .shapeMismatch(let name, let expected, let actual):
      "input \"\(name)\" has shape \(actual), the model takes \(expected)"
    case .imageSizeMismatch(let name, let expected, let actual):
      "input \"\(name)\" is a picture of \(actual) pixels, the model takes \(expected): scale the picture"
    case .elementTypeMismatch(let name, let expected, let actual):
      "input \"\(name)\" is \(actual.rawValue), the model takes \(expected.rawValue); convert it with converted(to:)"
    case .failed(_, _, let message):
      message
    }
  }

  private func list(_ names: [String]) -> String {
    names.isEmpty ? "none" : names.map { "\"\($0)\"" }.joined(separator: ", ")
  }
}
