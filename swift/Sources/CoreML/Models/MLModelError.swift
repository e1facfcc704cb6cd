import TintypeMLX

/// The domain of Core ML's errors.
// swift-format-ignore: AlwaysUseLowerCamelCase
public let MLModelErrorDomain = "com.apple.CoreML"

/// What Core ML throws.
public struct MLModelError: Error, Sendable {
  /// Raw values are Apple's.
  public enum Code: Int, Sendable {
    case generic = 0
    case featureType = 1
    case io = 3
    case customLayer = 4
    case customModel = 5
    case update = 6
    case parameters = 7
    case modelDecryptionKeyFetch = 8
    case modelDecryption = 9
    case modelCollection = 10
    case predictionCancelled = 11
  }

  public let code: Code
  /// The engine's status: it tells apart what Core ML's codes do not.
  public let status: EngineStatus
  private let text: String
  /// What the underlying error says, as Core ML gives it for images.
  private let reason: String?

  public static var errorDomain: String { MLModelErrorDomain }
  public static var generic: Code { .generic }
  public static var featureType: Code { .featureType }
  public static var io: Code { .io }
  public static var customLayer: Code { .customLayer }
  public static var customModel: Code { .customModel }
  public static var update: Code { .update }
  public static var parameters: Code { .parameters }
  public static var modelDecryptionKeyFetch: Code { .modelDecryptionKeyFetch }
  public static var modelDecryption: Code { .modelDecryption }
  public static var modelCollection: Code { .modelCollection }
  public static var predictionCancelled: Code { .predictionCancelled }

  /// An error as code that stands in for Core ML makes it, in a test for example.
  public init(_ code: Code, userInfo: [String: Any] = [:]) {
    let text = userInfo["NSLocalizedDescription"] as? String
    self.init(code, status: .runtime, text ?? "\(MLModelErrorDomain) error \(code.rawValue)")
  }

  init(_ code: Code, status: EngineStatus, _ text: String, reason: String? = nil) {
    self.code = code
    self.status = status
    self.text = text
    self.reason = reason
  }

  /// The engine's error under the code that Apple documents for the like.
  init(_ error: EngineError) {
    let code: Code =
      switch error.status {
      case .io: .io
      case .invalidArgument: .featureType
      case .cancelled: .predictionCancelled
      case .format, .unsupported, .runtime, .outOfMemory, .unavailable: .generic
      }
    self.init(code, status: error.status, error.message)
  }
}

/// `catch MLModelError.featureType`, as with Apple's.
public func ~= (code: MLModelError.Code, error: any Error) -> Bool {
  (error as? MLModelError)?.code == code
}

extension MLModelError: StatusCarryingError, LocalizedError, CustomStringConvertible {
  public var message: String { reason.map { "\(text): \($0)" } ?? text }
  public var errorDescription: String? { text }
  public var description: String { "\(MLModelErrorDomain) \(code.rawValue): \(message)" }
}

#if !TINTYPE_ESSENTIALS_ONLY
  extension MLModelError: CustomNSError {
    public var errorCode: Int { code.rawValue }
    public var errorUserInfo: [String: Any] {
      var information: [String: Any] = [NSLocalizedDescriptionKey: text]
      if let reason { information[NSUnderlyingErrorKey] = MLModelError(code, status: status, reason) }
      return information
    }
  }
#endif

/// Runs `body` and gives the engine's errors Core ML's form.
func asCoreMLErrors<Result>(_ body: () throws -> Result) throws -> Result {
  do {
    return try body()
  } catch let error as EngineError {
    throw MLModelError(error)
  }
}
