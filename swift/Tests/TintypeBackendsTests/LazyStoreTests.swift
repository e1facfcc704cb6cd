import Foundation
import Testing

@testable import TintypeBackends

@Suite struct LazyStoreTests {
  private let store = LazyStore<String, Int>()
  /// Makings wait here until the test lets them go on.
  private let gate = DispatchSemaphore(value: 0)
  private let begun = Locked<[Int]>([])

  private func making(_ value: Int, waits: Bool = true) -> @Sendable () throws -> Int {
    { [gate, begun] in
      begun.withLock { $0.append(value) }
      if waits { gate.wait() }
      return value
    }
  }

  private func request(_ key: String, _ value: Int, waits: Bool = true) -> Task<Int, any Error> {
    let (store, make) = (self.store, making(value, waits: waits))
    return Task { try await store.value(key, bytes: 1, make: make) }
  }

  private func wait(until condition: @Sendable () async -> Bool) async throws {
    for _ in 0..<1000 {
      if await condition() { return }
      try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("waited in vain")
  }

  private func waitUntilBegun(_ values: [Int]) async throws {
    let begun = self.begun
    try await wait { begun.withLock { $0 } == values }
  }

  /// The gate is closed, so this test ends only if the waiter returns before the making does.
  @Test func aCancelledCallerWaitsNoLonger() async throws {
    let first = request("a", 1)
    try await waitUntilBegun([1])
    first.cancel()
    await #expect(throws: CancellationError.self) { try await first.value }
    gate.signal()
    // What was begun is there for the next caller.
    #expect(try await request("a", 2).value == 1)
    #expect(begun.withLock { $0 } == [1])
  }

  @Test func othersStillGetTheValue() async throws {
    let first = request("a", 1)
    try await waitUntilBegun([1])
    let second = request("a", 2)
    try await Task.sleep(for: .milliseconds(20))
    first.cancel()
    await #expect(throws: CancellationError.self) { try await first.value }
    gate.signal()
    #expect(try await second.value == 1)
  }

  @Test func whatNobodyWaitsForIsNotBegun() async throws {
    let first = request("a", 1)
    try await waitUntilBegun([1])
    let second = request("b", 2)
    let store = self.store
    try await wait { await store.keys.count == 2 }
    second.cancel()
    await #expect(throws: CancellationError.self) { try await second.value }
    // Neither its bytes nor its place are kept.
    #expect(await store.keys == ["a"])
    let third = request("c", 3)
    try await wait { await store.keys.count == 2 }
    gate.signal()
    #expect(try await first.value == 1)
    gate.signal()
    #expect(try await third.value == 3)
    #expect(begun.withLock { $0 } == [1, 3])
    // Asked for again, it is made.
    #expect(try await request("b", 4, waits: false).value == 4)
  }

  /// A value is the number of its copies.
  @Test func copiesCountAndMakeRoom() async throws {
    let copies = Locked<[Int: Int]>([:])
    let store = LazyStore<String, Int>(budget: 30) { value in copies.withLock { $0[value] ?? 1 } }
    for (number, key) in ["a", "b", "c"].enumerated() { _ = try await store.value(key, bytes: 10) { number } }
    #expect(await store.bytes == 30)
    // One copy more of the second: the least recently used one goes.
    await store.grow("b") { _ in 1 }
    copies.withLock { $0[1] = 2 }
    #expect(await store.keys == ["b", "c"])
    #expect(await store.bytes == 30)
    await store.grow("c") { _ in 0 }
    #expect(await store.keys == ["b", "c"])
    // Two copies and two more are too many even alone: the value goes, too.
    await store.grow("b") { _ in 2 }
    #expect(await store.keys.isEmpty)
    // A value that grew by itself makes room with the next one.
    _ = try await store.value("d", bytes: 10) { 3 }
    copies.withLock { $0[3] = 3 }
    _ = try await store.value("e", bytes: 10) { 4 }
    #expect(await store.keys == ["e"])
  }

  @Test func aCancelledTaskBeginsNothing() async throws {
    let store = self.store
    let make = making(1, waits: false)
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try await store.value("a", make: make)
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(begun.withLock { $0 }.isEmpty)
    #expect(await store.keys.isEmpty)
  }
}
