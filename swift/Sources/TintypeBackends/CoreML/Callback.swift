import Dispatch
import TintypeMLX

/// A wait for what Core ML tells through a callback. That comes on a thread of its own, so the wait ends; the caller must
/// be one that may be blocked.
enum Callback {
  static func value<Value: Sendable>(
    _ ask: (_ answer: @escaping @Sendable (Result<Value, any Error>) -> Void) -> Void
  ) throws -> Value {
    let result = Locked<Result<Value, any Error>?>(nil)
    let done = DispatchSemaphore(value: 0)
    ask { outcome in
      result.withLock { $0 = outcome }
      done.signal()
    }
    done.wait()
    guard let outcome = result.withLock({ $0 }) else {
      throw BackendError.failed(backend: .coreml, kind: .runtime, message: "Core ML called back without a result")
    }
    return try outcome.get()
  }

  /// The same for callbacks with a value or an error.
  static func value<Value: Sendable>(
    _ ask: (_ answer: @escaping @Sendable (Value?, (any Error)?) -> Void) -> Void
  ) throws -> Value {
    let value: Value? = try value { answer in
      ask { value, error in answer(error.map { .failure($0) } ?? .success(value)) }
    }
    guard let value else {
      throw BackendError.failed(backend: .coreml, kind: .runtime, message: "Core ML called back without a result")
    }
    return value
  }
}
