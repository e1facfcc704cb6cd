import Foundation
import TestSupport
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

  /// The gate is closed until the run has ended, so this test ends only if a cancelled run does not wait for a load.
  @Test func aRunIsCancelledWhileAModelIsLoaded() async throws {
    let fake = try FakeBundle()
    let backend = GatedBackend(fake.backend(), gated: "denoiser")
    let pipeline = try TextToImagePipeline(
      bundle: fake.bundle, configuration: PipelineConfiguration { _, _ in backend })
    let events = Locked(0)
    let run = Task {
      try await pipeline.generate(GenerationRequest("a", seed: 1)) { event in
        if case .step = event { events.withLock { $0 += 1 } }
      }
    }
    while backend.waiting.withLock({ $0 }) == 0 { try await Task.sleep(for: .milliseconds(2)) }
    run.cancel()
    await #expect(throws: CancellationError.self) { try await run.value }
    #expect(events.withLock { $0 } == 0)
    #expect(!backend.inner.loads.contains { $0.hasPrefix("vae_decoder") })
    backend.gate.signal()
    // What was being loaded serves the next run.
    _ = try await pipeline.generate(GenerationRequest("a", seed: 1))
    #expect(backend.inner.loads.filter { $0.hasPrefix("denoiser") }.count == 1)
  }

  /// A backend that loads one component only when it is let.
  private final class GatedBackend: Backend {
    let inner: FakeBackend
    let gate = DispatchSemaphore(value: 0)
    let waiting = Locked(0)
    private let gated: String

    init(_ inner: FakeBackend, gated: String) { (self.inner, self.gated) = (inner, gated) }

    var kind: BackendKind { inner.kind }

    func checkAvailability() throws {}

    func load(_ package: URL, units: ComputeUnits) throws -> any LoadedModel {
      if package.deletingPathExtension().lastPathComponent == gated {
        waiting.withLock { $0 += 1 }
        gate.wait()
      }
      return try inner.load(package, units: units)
    }
  }

  /// Set in the process that runs one test by itself.
  private static let isAloneKey = "TINTYPE_TEST_ALONE"

  #if os(Linux)
    /// Other suites run beside this one and have files and memory of their own; a process of its own has not.
    private func runAlone(_ test: String) async throws {
      let folder = try TemporaryFolder()
      let file = folder.url.appendingPathComponent("output")
      try Data().write(to: file)
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      process.arguments = ["--testing-library", "swift-testing", "--filter", "CancellationTests/\(test)"]
      process.environment = ProcessInfo.processInfo.environment.merging([Self.isAloneKey: "1"]) { $1 }
      let output = try FileHandle(forWritingTo: file)
      (process.standardOutput, process.standardError) = (output, output)
      let status: Int32 = try await withCheckedThrowingContinuation { continuation in
        process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
        do { try process.run() } catch { continuation.resume(throwing: error) }
      }
      let text = try String(contentsOf: file, encoding: .utf8)
      #expect(status == 0 && text.contains("with 1 test "), "\(text)")
    }
  #endif

  /// What 200 cycles leave behind, after 60 that fill the caches; nil where the system does not say.
  private func growth(_ cycle: (Int) async throws -> Void) async throws -> (files: Int, bytes: Int)? {
    for number in 0..<60 { try await cycle(number) }
    let before = Usage()
    for number in 60..<260 { try await cycle(number) }
    guard let before, let after = Usage() else { return nil }
    return (after.files - before.files, after.bytes - before.bytes)
  }

  private static let mostBytes = 4 << 20

  #if os(Linux)
    /// The limits see a file that every fourth cycle leaves open, and a megabyte that each one keeps.
    @Test func plantedLeaksAreSeen() async throws {
      guard ProcessInfo.processInfo.environment[Self.isAloneKey] != nil else {
        return try await runAlone("plantedLeaksAreSeen")
      }
      var (handles, memory): ([FileHandle?], [[UInt8]]) = ([], [])
      let files = try await growth { number in
        if number.isMultiple(of: 4) { handles.append(FileHandle(forReadingAtPath: "/dev/null")) }
      }
      #expect(files?.files == 50)
      let bytes = try await growth { memory.append([UInt8](repeating: UInt8($0 % 255), count: 1 << 20)) }
      #expect(try #require(bytes).bytes > Self.mostBytes)
      // Both are kept until here.
      #expect(handles.count == 65 && memory.count == 260)
      let nothing = try #require(try await growth { _ in })
      #expect(nothing.files <= 0 && nothing.bytes < Self.mostBytes)
    }
  #endif

  /// 200 runs, cancelled at all places: before the first model call, within the loop, between events, and not at all;
  /// every tenth with models that are loaded anew. Nothing may stay behind.
  @Test func runsThatAreCancelledLeaveNothingBehind() async throws {
    #if os(Linux)
      guard ProcessInfo.processInfo.environment[Self.isAloneKey] != nil else {
        return try await runAlone("runsThatAreCancelledLeaveNothingBehind")
      }
    #endif
    let pipeline = try TestBundles.pipeline("sd3-medium-tiny-float32")
    func cycle(_ number: Int) async throws {
      let request = GenerationRequest(
        "a", steps: 2, guidanceScale: 1, seed: UInt32(number), backend: .all(.mlx), useT5: false)
      switch number % 4 {
      case 0:
        // Cancelled from outside, it could be done before on a busy machine.
        let task = Task {
          withUnsafeCurrentTask { $0?.cancel() }
          _ = try await pipeline.generate(request)
        }
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
    guard let growth = try await growth(cycle) else { return }
    #expect(growth.files <= 0, "\(growth.files) more open files")
    #expect(growth.bytes < Self.mostBytes, "\(growth.bytes) bytes more")
  }
}
