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
    #expect(after.files <= before.files, "\(before.files) open files before, \(after.files) after")
    #expect(after.bytes - before.bytes < 4 << 20, "\(before.bytes) bytes before, \(after.bytes) after")
  }
}
