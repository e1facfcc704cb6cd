import TintypeMLX

/// Why a backend did not do what it was asked; each case holds the values, its description also the remedy.
public enum BackendError: Error, Sendable, Equatable {
  /// The backend does not exist on this machine.
  case unavailable(backend: BackendKind, reason: String, remedy: String)
  /// A required input was not given; `known` are the model's.
  case missingInput(name: String, known: [String])
  /// An input that the model does not have; `known` are the model's.
  case unknownInput(name: String, known: [String])
  /// A function that the package does not have; `known` are the package's.
  case unknownFunction(name: String, known: [String])
  /// A tensor of another shape than the model takes; -1 stands for an extent that may vary.
  case shapeMismatch(name: String, expected: [Int], actual: [Int])
  /// A tensor of a shape that a flexible input does not take.
  case shapeNotAllowed(name: String, allowed: AllowedShapes, actual: [Int])
  /// A picture of another size than the model takes.
  case imageSizeMismatch(name: String, expected: ImageDescription, actual: ImageDescription.Size)
  /// A tensor of another element type than the model takes.
  case elementTypeMismatch(name: String, expected: ElementType, actual: ElementType)
  /// The backend itself refused or failed; the text is its own.
  case failed(backend: BackendKind, kind: FailureKind, message: String)

  /// What went wrong, as the C ABI tells it apart.
  public typealias FailureKind = EngineStatus

  /// What went wrong, for every case.
  public var kind: FailureKind {
    switch self {
    case .unavailable: .unavailable
    case .missingInput, .unknownInput, .unknownFunction, .shapeMismatch, .shapeNotAllowed, .imageSizeMismatch,
      .elementTypeMismatch:
      .invalidArgument
    case .failed(_, let kind, _): kind
    }
  }
}

extension BackendError: ExplainedError {
  package var explanation: (problem: String, remedy: String?) {
    switch self {
    case .unavailable(let backend, let reason, let remedy):
      ("backend \"\(backend.rawValue)\" cannot run here: \(reason)", remedy)
    case .missingInput(let name, let known):
      ("input \"\(name)\" is missing; the model takes \(list(known))", nil)
    case .unknownInput(let name, let known):
      ("input \"\(name)\" is not one of the model's; it takes \(list(known))", nil)
    case .unknownFunction(let name, let known):
      ("function \"\(name)\" does not exist in this package; it has \(list(known))", nil)
    case .shapeMismatch(let name, let expected, let actual):
      ("input \"\(name)\" has shape \(actual), the model takes \(expected)", nil)
    case .shapeNotAllowed(let name, let allowed, let actual):
      ("input \"\(name)\" has shape \(actual), the model takes \(allowed.text)", nil)
    case .imageSizeMismatch(let name, let expected, let actual):
      (
        "input \"\(name)\" is a picture of \(actual) pixels, the model takes \(expected.sizeText)",
        "scale the picture"
      )
    case .elementTypeMismatch(let name, let expected, let actual):
      (
        "input \"\(name)\" is \(actual.rawValue), the model takes \(expected.rawValue)",
        "convert it with converted(to:)"
      )
    case .failed(_, _, let message):
      (message, nil)
    }
  }

  /// The problem and the remedy.
  public var description: String {
    let (problem, remedy) = explanation
    return remedy.map { "\(problem); \($0)" } ?? problem
  }

  private func list(_ names: [String]) -> String {
    names.isEmpty ? "none" : names.map { "\"\($0)\"" }.joined(separator: ", ")
  }
}
