import Dispatch
import TintypeMLX

/// Work that may take too long. It cannot be stopped (Core ML's compiler takes no orders), only no longer waited for.
enum TimeBox {
  private enum State<Value> {
    case running
    case done(Result<Value, any Error>)
    case abandoned
  }

  /// What `body` gives, or nil when it takes longer than `limit`; then `late` gets what it gives in the end.
  static func run<Value: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () throws -> Value,
    late: @escaping @Sendable (Result<Value, any Error>) -> Void
  ) throws -> Value? {
    let state = Locked(State<Value>.running)
    let finished = DispatchSemaphore(value: 0)
    DispatchQueue.global().async {
      let result = Result { try body() }
      let isLate = state.withLock { state in
        if case .abandoned = state { return true }
        state = .done(result)
        return false
      }
      if isLate { late(result) } else { finished.signal() }
    }
    _ = finished.wait(timeout: .now() + limit.seconds)
    let result: Result<Value, any Error>? = state.withLock { state in
      if case .done(let result) = state { return result }
      state = .abandoned
      return nil
    }
    return try result?.get()
  }
}

extension Duration {
  package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
