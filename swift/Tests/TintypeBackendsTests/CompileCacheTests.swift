import Foundation
import TestSupport
import Testing

@testable import TintypeBackends

@Suite struct CompileCacheTests {
  private let folder: TemporaryFolder
  private let cache: CompileCache
  private let package: URL

  init() throws {
    folder = try TemporaryFolder()
    cache = CompileCache(folder: folder.url.appendingPathComponent("cache"))
    package = folder.url.appendingPathComponent("net.mlpackage")
    try FileManager.default.copyItem(at: Fixture.package("linear"), to: package)
  }

  /// The same cache for one that waits for nobody who is gone.
  private var forgetful: CompileCache { CompileCache(folder: cache.folder, forgottenAfter: -1) }

  /// Stands in for Core ML's compiler: a folder with one file among the temporary files.
  private static func compiler(_ calls: Locked<Int>) -> (URL) throws -> URL {
    { package in
      calls.withLock { $0 += 1 }
      let compiled = FileManager.default.temporaryDirectory.appendingPathComponent("net_\(UUID().uuidString).mlmodelc")
      try FileManager.default.createDirectory(at: compiled, withIntermediateDirectories: true)
      try Data("compiled".utf8).write(to: compiled.appendingPathComponent("model.mil"))
      return compiled
    }
  }

  private func entries() throws -> [String] { try folder.names(in: "cache").filter { $0.hasSuffix(".mlmodelc") } }

  @Test func compilesOnce() throws {
    let calls = Locked(0)
    let first = try cache.model(for: package, compile: Self.compiler(calls))
    #expect(try cache.model(for: package, compile: Self.compiler(calls)) == first)
    #expect(calls.withLock { $0 } == 1)
    #expect(FileManager.default.fileExists(atPath: first.appendingPathComponent("model.mil").path))
    #expect(first.lastPathComponent.hasPrefix("net-"))
    #expect(try entries().count == 1)
  }

  @Test func aChangedPackageReplacesItsEntry() throws {
    let calls = Locked(0)
    let first = try cache.model(for: package, compile: Self.compiler(calls))
    let weights = package.appendingPathComponent("Data/com.apple.CoreML/weights/weight.bin")
    try (Data(contentsOf: weights) + Data([0])).write(to: weights)
    let second = try cache.model(for: package, compile: Self.compiler(calls))
    #expect(second != first)
    #expect(try entries() == [second.lastPathComponent])
  }

  /// A fine-tune's weights have the base model's size, and tools that unpack set the times.
  @Test func aChangedPackageOfTheSameSizeAndTimesReplacesItsEntry() throws {
    let calls = Locked(0)
    let first = try cache.model(for: package, compile: Self.compiler(calls))
    let weights = package.appendingPathComponent("Data/com.apple.CoreML/weights/weight.bin")
    let time = try #require(FileManager.default.attributesOfItem(atPath: weights.path)[.modificationDate] as? Date)
    var bytes = try Data(contentsOf: weights)
    bytes[bytes.count - 1] ^= 1
    try bytes.write(to: weights)
    try FileManager.default.setAttributes([.modificationDate: time], ofItemAtPath: weights.path)
    #expect(try cache.model(for: package, compile: Self.compiler(calls)) != first)
    #expect(try entries().count == 1)
  }

  @Test func aFineTuneRunsItsOwnWeights() throws {
    let backend = CoreMLBackend(cacheFolder: cache.folder)
    let x = try Tensor(shape: [2, 3], floats: [Float](repeating: 1, count: 6))
    let before = try backend.load(package, units: .cpuOnly).predict(["x": x])["y"]?.floats()
    let weights = package.appendingPathComponent("Data/com.apple.CoreML/weights/weight.bin")
    let time = try #require(FileManager.default.attributesOfItem(atPath: weights.path)[.modificationDate] as? Date)
    // The last weight is another number.
    let changed = try Data(contentsOf: weights).dropLast(4) + withUnsafeBytes(of: Float(7)) { Data($0) }
    try changed.write(to: weights, options: .atomic)
    try FileManager.default.setAttributes([.modificationDate: time], ofItemAtPath: weights.path)
    let after = try backend.load(package, units: .cpuOnly).predict(["x": x])["y"]?.floats()
    #expect(after == (try MLXBackend().load(package, units: .cpuOnly).predict(["x": x])["y"]?.floats()))
    #expect(after != before)
  }

  @Test func aMovedPackageKeepsItsEntry() throws {
    let calls = Locked(0)
    let first = try cache.model(for: package, compile: Self.compiler(calls))
    let home = folder.url.appendingPathComponent("updated")
    let moved = home.appendingPathComponent("net.mlpackage")
    try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
    try FileManager.default.moveItem(at: package, to: moved)
    #expect(try cache.model(for: moved, compile: Self.compiler(calls)) == first)
    #expect(calls.withLock { $0 } == 1)
    // Where it was is forgotten: another package's entry does not push it out.
    let other = folder.url.appendingPathComponent("other.mlpackage")
    try FileManager.default.copyItem(at: Fixture.package("add"), to: other)
    _ = try cache.model(for: other, compile: Self.compiler(calls))
    #expect(try entries().count == 2)
    #expect(CacheEntry(url: first).packages == [moved.standardizedFileURL.path])
  }

  /// An update moves all of an app's packages, and the first one that it asks for may be the one that changed.
  @Test func anUpdatedAppCompilesOnlyWhatChanged() throws {
    let calls = Locked(0)
    let homes = ["old", "new"].map { folder.url.appendingPathComponent($0) }
    try FileManager.default.createDirectory(at: homes[0], withIntermediateDirectories: true)
    for name in ["linear", "add"] {
      let package = homes[0].appendingPathComponent("\(name).mlpackage")
      try FileManager.default.copyItem(at: Fixture.package(name), to: package)
      _ = try cache.model(for: package, compile: Self.compiler(calls))
    }
    try FileManager.default.moveItem(at: homes[0], to: homes[1])
    let changed = homes[1].appendingPathComponent("linear.mlpackage")
    try Data([1]).write(to: changed.appendingPathComponent("more"))
    _ = try cache.model(for: changed, compile: Self.compiler(calls))
    #expect(calls.withLock { $0 } == 3)
    _ = try cache.model(for: homes[1].appendingPathComponent("add.mlpackage"), compile: Self.compiler(calls))
    #expect(calls.withLock { $0 } == 3)
  }

  @Test func packagesOfTheSameContentShareAnEntry() throws {
    let calls = Locked(0)
    let home = folder.url.appendingPathComponent("copy")
    try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
    let copy = home.appendingPathComponent("net.mlpackage")
    try FileManager.default.copyItem(at: package, to: copy)
    let entry = try cache.model(for: package, compile: Self.compiler(calls))
    #expect(try cache.model(for: copy, compile: Self.compiler(calls)) == entry)
    // The entry stays as long as one of them needs it.
    try Data([1]).write(to: package.appendingPathComponent("more"))
    _ = try cache.model(for: package, compile: Self.compiler(calls))
    #expect(try entries().count == 2)
    try FileManager.default.removeItem(at: copy)
    try Data([2]).write(to: package.appendingPathComponent("more"))
    let last = try forgetful.model(for: package, compile: Self.compiler(calls))
    #expect(try entries() == [last.lastPathComponent])
  }

  @Test func whatACrashLeftIsRemoved() throws {
    let left = cache.folder.appendingPathComponent(".\(UUID().uuidString).mlmodelc")
    try FileManager.default.createDirectory(at: left, withIntermediateDirectories: true)
    let calls = Locked(0)
    _ = try cache.model(for: package, compile: Self.compiler(calls))
    // It may be another process at work.
    #expect(FileManager.default.fileExists(atPath: left.path))
    let other = folder.url.appendingPathComponent("other.mlpackage")
    try FileManager.default.copyItem(at: package, to: other)
    _ = try CompileCache(folder: cache.folder, abandonedAfter: -1).model(for: other, compile: Self.compiler(calls))
    #expect(!FileManager.default.fileExists(atPath: left.path))
    #expect(try entries().count == 2)
  }

  @Test func entriesOfPackagesThatAreLongGoneAreDropped() throws {
    let calls = Locked(0)
    let other = folder.url.appendingPathComponent("other.mlpackage")
    let away = folder.url.appendingPathComponent("away")
    try FileManager.default.copyItem(at: Fixture.package("add"), to: other)
    let gone = CacheEntry(url: try cache.model(for: other, compile: Self.compiler(calls)))
    try FileManager.default.moveItem(at: other, to: away)
    let entry = try cache.model(for: package, compile: Self.compiler(calls))
    #expect(try entries().count == 2)
    // A volume that is there again: the wait begins anew when the package is missed again.
    try FileManager.default.moveItem(at: away, to: other)
    #expect(try cache.model(for: other, compile: Self.compiler(calls)) == gone.url)
    #expect(try !folder.names(in: "cache").contains { $0.hasSuffix(".gone") })
    try FileManager.default.removeItem(at: other)
    try Data([1]).write(to: package.appendingPathComponent("more"))
    let last = try forgetful.model(for: package, compile: Self.compiler(calls))
    #expect(last != entry && calls.withLock { $0 } == 3)
    #expect(try entries() == [last.lastPathComponent])
    #expect(try folder.names(in: "cache").filter { !$0.hasPrefix("digests") }.count == 3)
  }

  @Test func aFailedCompileLeavesNothing() throws {
    struct Refused: Error {}
    #expect(throws: Refused.self) { try cache.model(for: package) { _ in throw Refused() } }
    #expect(try folder.names(in: "cache").isEmpty)
  }

  @Test func manyAtOnceGetOneWholeEntry() async throws {
    let calls = Locked(0)
    let (cache, package) = (self.cache, self.package)
    let urls = try await withThrowingTaskGroup(of: URL.self) { group in
      for _ in 0..<8 {
        group.addTask { try cache.model(for: package, compile: CompileCacheTests.compiler(calls)) }
      }
      return try await group.reduce(into: Set<URL>()) { $0.insert($1) }
    }
    #expect(urls.count == 1)
    #expect(try entries().count == 1)
    #expect(try folder.names(in: "cache").allSatisfy { !$0.hasPrefix(".") })
  }

  @Test func aFolderThatCannotBeWrittenIsNamed() throws {
    let file = folder.url.appendingPathComponent("file")
    try Data().write(to: file)
    let blocked = CompileCache(folder: file.appendingPathComponent("cache"))
    let error = try #require(throws: BackendError.self) {
      try blocked.model(for: package, compile: Self.compiler(Locked(0)))
    }
    #expect(error.kind == .unavailable)
    #expect(error.description.hasPrefix("the compiled model cannot be kept in \(blocked.folder.path): "))
    #expect(error.description.hasSuffix("; make the folder writable or choose another cache folder"))
  }

  /// Of several functions, each is opened at its first use: Core ML would hold, and specialise, every one.
  @Test func functionsAreOpenedWhenTheyAreUsed() throws {
    let backend = CoreMLBackend(cacheFolder: cache.folder)
    let several = Fixture.package("two_functions")
    let model = try backend.load(several, units: .all)
    let entry = cache.folder.appendingPathComponent(try #require(entries().first))
    let x = try Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6])
    func damage() throws {
      for name in try FileManager.default.contentsOfDirectory(atPath: entry.path) {
        try FileManager.default.removeItem(at: entry.appendingPathComponent(name))
      }
    }
    #expect(model.openFunctions.isEmpty && model.copies == 1 && model.copiesMore(with: "thrice") == 0)
    // What is damaged before it is opened is made anew then.
    try damage()
    try model.prepare(function: "thrice")
    #expect(model.copies == 1 && model.copiesMore(with: "thrice") == 0 && model.copiesMore(with: nil) == 1)
    #expect(CacheEntry(url: entry).isDamaged == false)
    try damage()
    #expect(try model.predict(["x": x], function: "thrice")["y"]?.floats() == [3, 6, 9, 12, 15, 18])
    #expect(CacheEntry(url: entry).isDamaged)
    #expect(try model.predict(["x": x])["y"]?.floats() == [2, 4, 6, 8, 10, 12])
    #expect(CacheEntry(url: entry).isDamaged == false)
    #expect(model.openFunctions == ["twice", "thrice"] && model.copies == 2)
    let error = #expect(throws: BackendError.self) { try model.prepare(function: "absent") }
    #expect(error?.kind == .invalidArgument && error?.description.contains("\"twice\"") == true)
  }

  @Test func aDamagedEntryIsMadeAnew() throws {
    let backend = CoreMLBackend(cacheFolder: cache.folder)
    _ = try backend.load(package, units: .all)
    let entry = cache.folder.appendingPathComponent(try #require(entries().first))
    for name in try FileManager.default.contentsOfDirectory(atPath: entry.path) {
      try FileManager.default.removeItem(at: entry.appendingPathComponent(name))
    }
    let model = try backend.load(package, units: .all)
    let x = try Tensor(shape: [2, 3], floats: [Float](repeating: 0, count: 6))
    #expect(try model.predict(["x": x])["y"]?.floats() == [0, 1, 2, 3, 0, 1, 2, 3])
  }

  @Test func onlyDamageMakesAnEntryAnew() throws {
    func failure(_ kind: BackendError.FailureKind) -> BackendError {
      .failed(backend: .coreml, kind: kind, message: "the reason")
    }
    let calls = Locked(0)
    let entry = try cache.model(for: package, compile: Self.compiler(calls))
    for kind in BackendError.FailureKind.allCases where ![.io, .format].contains(kind) {
      #expect(!cache.discard(entry, after: failure(kind)))
    }
    #expect(!cache.discard(package, after: failure(.format)))
    #expect(try entries() == [entry.lastPathComponent])
    // What cannot be read is made anew once.
    #expect(cache.discard(entry, after: failure(.format)))
    #expect(try entries().isEmpty)
    #expect(try cache.model(for: package, compile: Self.compiler(calls)) == entry)
    #expect(!cache.discard(entry, after: failure(.format)))
    // Whose files are others than they were is damaged, whatever the error says.
    try Data("comp".utf8).write(to: entry.appendingPathComponent("model.mil"))
    #expect(cache.discard(entry, after: failure(.runtime)))
    #expect(try entries().isEmpty)
  }
}
