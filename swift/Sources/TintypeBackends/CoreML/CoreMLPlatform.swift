import CoreML
import TintypeMLX

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What differs between Apple's Core ML and the portable one: the only file here that knows which it is.
public enum CoreMLPlatform {
  #if canImport(Darwin)
    /// Whose Core ML this is: "apple" or "portable".
    public static let implementation = "apple"
    /// What `ComputeUnits` have a meaning here.
    public static let computeUnits: [ComputeUnits] = [.all, .cpuOnly, .cpuAndGPU, .cpuAndNeuralEngine]
    /// Whether this is Apple's Core ML.
    public static let isApples = true

    /// What the models run on, in the C ABI's words: "apple" or "cpu".
    public static let deviceKind = "apple"

    /// The chip, as the system names it.
    public static var deviceName: String {
      #if os(macOS)
        let key = "machdep.cpu.brand_string"
      #else
        let key = "hw.machine"
      #endif
      var size = 0
      guard sysctlbyname(key, nil, &size, nil, 0) == 0, size > 0 else { return "unknown" }
      var bytes = [UInt8](repeating: 0, count: size)
      guard sysctlbyname(key, &bytes, &size, nil, 0) == 0 else { return "unknown" }
      return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
  #else
    /// The MLX engine on the CPU behind Core ML's API; never the Neural Engine.
    public static let implementation = "portable"
    /// The CPU: the others are accepted and ignored.
    public static let computeUnits: [ComputeUnits] = [.cpuOnly]
    /// Whether this is Apple's Core ML.
    public static let isApples = false
    /// What the models run on, in the C ABI's words: "apple" or "cpu".
    public static let deviceKind = "cpu"
    /// What runs the models, in words.
    public static let deviceName = "MLX engine behind a portable Core ML, not Apple's"
  #endif

  static func checkAvailability() throws {
    #if !canImport(Darwin)
      do {
        try PortableCoreML.checkAvailability()
      } catch let error as MLModelError {
        throw BackendError.failed(backend: .coreml, kind: .unavailable, message: error.message)
      }
    #endif
  }

  /// Core ML's error with its own text, and with the engine's kind where the engine is behind it.
  static func backendError(_ error: any Error, _ kind: BackendError.FailureKind) -> BackendError {
    if let error = error as? BackendError { return error }
    if case TensorError.outOfMemory = error {
      return .failed(backend: .coreml, kind: .outOfMemory, message: "\(error)")
    }
    if let error = error as? any StatusCarryingError {
      return .failed(backend: .coreml, kind: error.status, message: error.message)
    }
    if let error = error as? any ExplainedError {
      return .failed(backend: .coreml, kind: kind, message: error.description)
    }
    return .failed(backend: .coreml, kind: kind, message: reason(of: error))
  }

  /// A system's error in words.
  package static func reason(of error: any Error) -> String {
    #if canImport(Darwin)
      return error.localizedDescription
    #else
      // FoundationEssentials has no localizedDescription.
      let cause = (error as? CocoaError)?.userInfo["NSUnderlyingError"] as? POSIXError ?? error as? POSIXError
      if let cause { return String(cString: strerror(cause.code.rawValue)) }
      return (error as? any LocalizedError)?.errorDescription ?? "\(error)"
    #endif
  }
}
