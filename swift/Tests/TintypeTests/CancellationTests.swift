import Foundation
import Testing

@testable import Tintype

@Suite(.serialized) struct CancellationTests {
  /// Resident bytes and open files of this process; nil where the system does not say.
  private struct Usage {
    let bytes: Int
    let files: Int

    init?() {
      guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8),
        let pages = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) }),
        let files = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
      else { return nil }
      (bytes, self.files) = (pages * 4096, files)
    }
  }

  /// 200 runs, cancelled at all places: before the first model call, within the loop, between events, and not at all;
  /// every tenth with models that are loaded anew. Nothing may stay behind.
  @Test func runsThatAreCancelledLeaveNothingBehind() async throws {
    let pipeline = try TestBundles.pipeline("sd3-medium-tiny-float32")
    func cycle(_ number: Int) async throws {
      let request = GenerationRequest("a", steps: 2, guidanceScale: 1, seed: number, backend: .all(.mlx), useT5: false)
      switch number % 4 {
      case 0:
        let task = Task { try await pipeline.generate(request) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
      case 1:
        let task = Task { try await pipeline.generate(request) }
        try await Task.sleep(for: .milliseconds(number % 9))
        task.cancel()
        _ = try? await task.value
      case 2:
        for try await event in try pipeline.events(request) {
          if case .step = event { break }
        }
      default: _ = try await pipeline.generate(request)
      }
      if number.isMultiple(of: 10) { await pipeline.unload() }
    }
    for number in 0..<60 { try await cycle(number) }
    let before = Usage()
    for number in 60..<260 { try await cycle(number) }
    guard let before, let after = Usage() else { return }
    // Other suites run beside this one and have files and memory of their own.
    #expect(after.files - before.files < 64, "\(before.files) open files before, \(after.files) after")
    #expect(after.bytes - before.bytes < 1 << 28, "\(before.bytes) bytes before, \(after.bytes) after")
  }
}
