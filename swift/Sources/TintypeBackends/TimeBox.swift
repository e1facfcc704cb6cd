import Dispatch
import TintypeMLX

#if canImport(Darwin)
  import Darwin
#endif

/// Work that may take too long. It cannot be stopped (Core ML's compiler takes no orders), only no longer waited for.
final class TimeBox<Value: Sendable>: Sendable {
  private struct State {
    var result: Result<Value, any Error>?
    var late: (@Sendable (Result<Value, any Error>) -> Void)?
  }

  private let state = Locked(State())
  private let group = DispatchGroup()

  /// Begins the work, at the caller's priority.
  init(_ work: @escaping @Sendable () throws -> Value) {
    DispatchQueue.global(qos: DispatchQoS.QoSClass.ofCaller).async(group: group) { [state] in
      let result = Result { try work() }
      let late = state.withLock { state in
        state.result = result
        return state.late
      }
      late?(result)
    }
  }

  /// What the work gives; nil when that takes longer than `limit` from here.
  func value(within limit: Duration) throws -> Value? {
    _ = group.wait(timeout: .now() + limit.seconds)
    return try state.withLock(\.result)?.get()
  }

  /// What the work gives, however long it takes.
  func value() throws -> Value {
    group.wait()
    guard let result = state.withLock(\.result) else { throw CancellationError() }
    return try result.get()
  }

  /// Nobody waits any more: `late` gets what the work gives, at once if it is done.
  func leave(_ late: @escaping @Sendable (Result<Value, any Error>) -> Void) {
    let done = state.withLock { state in
      state.late = late
      return state.result
    }
    if let done { late(done) }
  }
}

extension DispatchQoS.QoSClass {
  /// The calling thread's priority: who waits for work on another thread must not wait for one of less.
  package static var ofCaller: DispatchQoS.QoSClass {
    #if canImport(Darwin)
      return DispatchQoS.QoSClass(rawValue: qos_class_self()) ?? .default
    #else
      return .default
    #endif
  }
}
