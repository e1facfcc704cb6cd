import TintypeMLX

/// The domain of Core ML's errors.
// swift-format-ignore: AlwaysUseLowerCamelCase
public let MLModelErrorDomain = "com.apple.CoreML"

/// What Core ML throws.
public struct MLModelError: Error, Sendable {
  /// Raw values are Apple's.
  public enum Code: Int, Sendable {
    /// What has no code of its own.
    case generic = 0
    /// A feature of another type or shape than the model takes, or one that is missing.
    case featureType = 1
    /// A file that is missing, cannot be read or cannot be written.
    case io = 3
    /// A custom layer's; never thrown here.
    case customLayer = 4
    /// A custom model's; never thrown here.
    case customModel = 5
    /// An update task's; never thrown here.
    case update = 6
    /// A parameter of an update or of a custom model; never thrown here.
    case parameters = 7
    /// An encrypted model's key; never thrown here.
    case modelDecryptionKeyFetch = 8
    /// An encrypted model's; never thrown here.
    case modelDecryption = 9
    /// A model collection's; never thrown here.
    case modelCollection = 10
    /// The task of an asynchronous prediction was cancelled.
    case predictionCancelled = 11
  }

  /// Which of Core ML's errors it is.
  public let code: Code
  /// The engine's status: it tells apart what Core ML's codes do not.
  public let status: EngineStatus
  private let text: String
  /// What the underlying error says, as Core ML gives it for images.
  private let reason: String?

  /// The domain as `CustomNSError` gives it.
  public static var errorDomain: String { MLModelErrorDomain }
  /// `Code.generic`, for `catch MLModelError.generic`.
  public static var generic: Code { .generic }
  /// `Code.featureType`, for `catch MLModelError.featureType`.
  public static var featureType: Code { .featureType }
  /// `Code.io`, for `catch MLModelError.io`.
  public static var io: Code { .io }
  /// `Code.customLayer`, for `catch MLModelError.customLayer`.
  public static var customLayer: Code { .customLayer }
  /// `Code.customModel`, for `catch MLModelError.customModel`.
  public static var customModel: Code { .customModel }
  /// `Code.update`, for `catch MLModelError.update`.
  public static var update: Code { .update }
  /// `Code.parameters`, for `catch MLModelError.parameters`.
  public static var parameters: Code { .parameters }
  /// `Code.modelDecryptionKeyFetch`, for `catch MLModelError.modelDecryptionKeyFetch`.
  public static var modelDecryptionKeyFetch: Code { .modelDecryptionKeyFetch }
  /// `Code.modelDecryption`, for `catch MLModelError.modelDecryption`.
  public static var modelDecryption: Code { .modelDecryption }
  /// `Code.modelCollection`, for `catch MLModelError.modelCollection`.
  public static var modelCollection: Code { .modelCollection }
  /// `Code.predictionCancelled`, for `catch MLModelError.predictionCancelled`.
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
  /// The sentence that Core ML gives, with the underlying error's.
  public var message: String { reason.map { "\(text): \($0)" } ?? text }
  /// The text.
  public var errorDescription: String? { text }
  /// Domain, code and text.
  public var description: String { "\(MLModelErrorDomain) \(code.rawValue): \(message)" }
}

#if !TINTYPE_ESSENTIALS_ONLY
  extension MLModelError: CustomNSError {
    /// The raw value of `code`.
    public var errorCode: Int { code.rawValue }
    /// The sentence as the localized description, and the underlying error where there is one.
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
