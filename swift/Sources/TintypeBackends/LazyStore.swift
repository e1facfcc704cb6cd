import Dispatch

/// Values that are made on first use and kept: all of them, or as many as a budget of bytes allows.
///
/// Two callers that want the same value wait for the same making; what fails is tried again by the next caller. Values
/// are made one at a time, since a model's compiler needs several times the model's size. Where room is needed, the
/// least recently used go first, and live on as long as somebody holds them.
package actor LazyStore<Key: Hashable & Sendable, Value: Sendable> {
  private let budget: Int?
  private var entries: [Key: Entry] = [:]
  private var clock = 0
  private var lastMaking: Task<Value, any Error>?

  private struct Entry {
    let making: Task<Value, any Error>
    let bytes: Int
    var lastUse: Int
  }

  /// - Parameter budget: bytes that values may have together; nil: no limit. A value that is larger is kept alone.
  package init(budget: Int? = nil) { self.budget = budget }

  package func value(
    _ key: Key, bytes: Int = 0, make: @escaping @Sendable () throws -> Value
  ) async throws -> Value {
    clock += 1
    if let entry = entries[key] {
      entries[key]?.lastUse = clock
      return try await result(of: entry.making, key)
    }
    makeRoom(for: bytes)
    let earlier = lastMaking
    let making = Task {
      _ = await earlier?.result
      return try await Blocking.run(make)
    }
    lastMaking = making
    entries[key] = Entry(making: making, bytes: bytes, lastUse: clock)
    return try await result(of: making, key)
  }

  /// The keys of what is kept, the least recently used first.
  package var keys: [Key] { entries.sorted { $0.value.lastUse < $1.value.lastUse }.map(\.key) }

  /// Bytes of what is kept.
  package var bytes: Int { entries.values.reduce(0) { $0 + $1.bytes } }

  package func remove(where shouldRemove: @Sendable (Key) -> Bool) {
    for key in entries.keys where shouldRemove(key) { entries[key] = nil }
  }

  private func result(of making: Task<Value, any Error>, _ key: Key) async throws -> Value {
    do {
      let value = try await making.value
      // The chain of makings must not keep a value that was removed.
      if lastMaking == making { lastMaking = nil }
      return value
    } catch {
      if entries[key]?.making == making { entries[key] = nil }
      throw error
    }
  }

  private func makeRoom(for bytes: Int) {
    guard let budget else { return }
    for key in keys where self.bytes + bytes > budget { entries[key] = nil }
  }
}

/// Work that takes long and does not suspend, kept off Swift's own small set of threads.
package enum Blocking {
  private static let queue = DispatchQueue(label: "tintype.blocking", qos: .userInitiated, attributes: .concurrent)

  package static func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      queue.async { continuation.resume(with: Result(catching: work)) }
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
