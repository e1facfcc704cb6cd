import Dispatch

/// Values that are made on first use and kept. Two callers that want the same one wait for the same making; what
/// fails is tried again by the next caller.
actor LazyStore<Key: Hashable & Sendable, Value: Sendable> {
  private var makings: [Key: Task<Value, any Error>] = [:]

  func value(_ key: Key, make: @escaping @Sendable () throws -> Value) async throws -> Value {
    if let making = makings[key] { return try await making.value }
    let making = Task { try await Blocking.run(make) }
    makings[key] = making
    do {
      return try await making.value
    } catch {
      if makings[key] == making { makings[key] = nil }
      throw error
    }
  }

  func remove(where shouldRemove: @Sendable (Key) -> Bool) {
    for key in makings.keys where shouldRemove(key) { makings[key] = nil }
  }
}

/// Work that takes long and does not suspend, kept off Swift's own small set of threads.
enum Blocking {
  private static let queue = DispatchQueue(label: "tintype.blocking", qos: .userInitiated, attributes: .concurrent)

  static func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      queue.async { continuation.resume(with: Result(catching: work)) }
    }
  }
}
