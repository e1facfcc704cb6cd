import Dispatch

/// Work that takes long and does not suspend, kept off Swift's own small set of threads.
package enum Blocking {
  private static let queue = DispatchQueue(label: "tintype.blocking", attributes: .concurrent)

  /// Runs at the calling task's priority.
  package static func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    let priority = DispatchQoS(qosClass: .of(Task.currentPriority), relativePriority: 0)
    return try await withCheckedThrowingContinuation { continuation in
      queue.async(qos: priority, flags: .enforceQoS) { continuation.resume(with: Result(catching: work)) }
    }
  }

  /// The same for work that asks whether it is still wanted: once the task is cancelled, `checkWanted` throws.
  package static func run<Value: Sendable>(
    _ work: @escaping @Sendable (_ checkWanted: @escaping @Sendable () throws -> Void) throws -> Value
  ) async throws -> Value {
    let isCancelled = Locked(false)
    return try await withTaskCancellationHandler {
      try await run {
        try work { if isCancelled.withLock({ $0 }) { throw CancellationError() } }
      }
    } onCancel: {
      isCancelled.withLock { $0 = true }
    }
  }
}

extension DispatchQoS.QoSClass {
  /// The class of a task's priority.
  fileprivate static func of(_ priority: TaskPriority) -> DispatchQoS.QoSClass {
    if priority >= .high { return .userInitiated }
    if priority >= .medium { return .default }
    return priority >= .utility ? .utility : .background
  }
}
