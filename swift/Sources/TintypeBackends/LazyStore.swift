import TintypeMLX

/// Values that are made on first use and kept: all of them, or as many as a budget of bytes allows.
///
/// Two callers that want the same value wait for the same making; what fails is tried again by the next caller. Values
/// are made one at a time, since a model's compiler needs several times the model's size. Where room is needed, the
/// least recently used go first, and live on as long as somebody holds them.
///
/// A caller whose task is cancelled waits no longer. What nobody waits for is not begun; a making that has begun cannot
/// be stopped, so its value is kept for the next caller.
///
/// A value may take its bytes several times; how often is asked whenever bytes are counted.
package actor LazyStore<Key: Hashable & Sendable, Value: Sendable> {
  private let budget: Int?
  private let copies: @Sendable (Value) -> Int
  private var entries: [Key: Entry] = [:]
  private var clock = 0
  private var last: (number: Int, making: Task<Value, any Error>)?
  /// How many callers wait, by the making's number.
  private var waiting: [Int: Int] = [:]
  /// The makings that have not begun.
  private var queued: Set<Int> = []

  private struct Entry {
    let number: Int
    let making: Task<Value, any Error>
    let bytes: Int
    var lastUse: Int
    /// Nil: not made yet.
    var value: Value?
  }

  /// - Parameters:
  ///   - budget: bytes that values may have together; nil: no limit. A value that is larger is kept alone.
  ///   - copies: how often a value takes its bytes.
  package init(budget: Int? = nil, copies: @escaping @Sendable (Value) -> Int = { _ in 1 }) {
    self.budget = budget
    self.copies = copies
  }

  package func value(
    _ key: Key, bytes: Int = 0, make: @escaping @Sendable () throws -> Value
  ) async throws -> Value {
    try Task.checkCancellation()
    clock += 1
    let entry = entries[key] ?? begin(key, bytes: bytes, make)
    entries[key]?.lastUse = clock
    waiting[entry.number, default: 0] += 1
    defer { leave(entry.number, key) }
    return try await Waiter.value(of: entry.making)
  }

  /// The keys of what is kept, the least recently used first.
  package var keys: [Key] { entries.sorted { $0.value.lastUse < $1.value.lastUse }.map(\.key) }

  /// Bytes of what is kept.
  package var bytes: Int {
    entries.values.reduce(0) { sum, entry in sum + entry.bytes * (entry.value.map(copies) ?? 1) }
  }

  /// To be called before a value that may be kept takes its bytes `more` times in addition. Others make room; where that
  /// is not enough it goes, too, and is made anew for the next caller.
  package func grow(_ key: Key, by more: @Sendable (Value) -> Int) {
    guard let budget, let entry = entries[key], let value = entry.value else { return }
    let bytes = entry.bytes * more(value)
    guard bytes > 0 else { return }
    for other in keys where other != key && self.bytes + bytes > budget { entries[other] = nil }
    if self.bytes + bytes > budget { entries[key] = nil }
  }

  package func remove(where shouldRemove: @Sendable (Key) -> Bool) {
    for key in entries.keys where shouldRemove(key) { entries[key] = nil }
  }

  private func begin(_ key: Key, bytes: Int, _ make: @escaping @Sendable () throws -> Value) -> Entry {
    makeRoom(for: bytes)
    let (number, earlier) = (clock, last?.making)
    queued.insert(number)
    let making = Task {
      _ = await earlier?.result
      return try await run(number, key, make)
    }
    last = (number, making)
    let entry = Entry(number: number, making: making, bytes: bytes, lastUse: clock)
    entries[key] = entry
    return entry
  }

  private func run(_ number: Int, _ key: Key, _ make: @escaping @Sendable () throws -> Value) async throws -> Value {
    // The chain of makings must not keep a value that was removed.
    defer { if last?.number == number { last = nil } }
    queued.remove(number)
    guard waiting[number] != nil else { throw CancellationError() }
    do {
      let value = try await Blocking.run(make)
      if entries[key]?.number == number { entries[key]?.value = value }
      return value
    } catch {
      drop(number, key)
      throw error
    }
  }

  private func leave(_ number: Int, _ key: Key) {
    guard let count = waiting[number], count > 1 else {
      waiting[number] = nil
      if queued.contains(number) { drop(number, key) }
      return
    }
    waiting[number] = count - 1
  }

  private func drop(_ number: Int, _ key: Key) {
    if entries[key]?.number == number { entries[key] = nil }
  }

  private func makeRoom(for bytes: Int) {
    guard let budget else { return }
    for key in keys where self.bytes + bytes > budget { entries[key] = nil }
  }
}

/// Somebody who waits for a task, and stops waiting when his own is cancelled. (`Task.value` waits on.)
package final class Waiter<Value: Sendable>: Sendable {
  private enum State {
    case empty
    case waiting(CheckedContinuation<Value, any Error>)
    case over
  }

  private let state = Locked(State.empty)

  package static func value(of task: Task<Value, any Error>) async throws -> Value {
    let waiter = Waiter()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let isCancelled = waiter.state.withLock { state in
          if case .over = state { return true }
          state = .waiting(continuation)
          return false
        }
        if isCancelled { return continuation.resume(throwing: CancellationError()) }
        Task { waiter.end(await task.result) }
      }
    } onCancel: {
      waiter.end(.failure(CancellationError()))
    }
  }

  private func end(_ result: Result<Value, any Error>) {
    let state = state.withLock { state in
      defer { state = .over }
      return state
    }
    if case .waiting(let continuation) = state { continuation.resume(with: result) }
  }
}
