import Foundation
import TestSupport
import Testing

@testable import TintypeBackends

@Suite struct CompileNoteTests {
  private let folder: TemporaryFolder
  private let cache: URL
  private let temporary: URL
  private let package: URL

  init() throws {
    folder = try TemporaryFolder()
    cache = folder.url.appendingPathComponent("cache")
    temporary = folder.url.appendingPathComponent("temporary")
    package = folder.url.appendingPathComponent("net.mlpackage")
    for each in [cache, temporary] {
      try FileManager.default.createDirectory(at: each, withIntermediateDirectories: true)
    }
  }

  /// What Core ML makes while it compiles.
  private func compile(_ name: String = "net", _ id: String = UUID().uuidString) throws -> URL {
    let compiled = temporary.appendingPathComponent("\(name)_\(id).mlmodelc")
    try FileManager.default.createDirectory(at: compiled, withIntermediateDirectories: false)
    return compiled
  }

  /// A note whose process is gone.
  private func deadNote() throws {
    try Data("net".utf8).write(to: cache.appendingPathComponent("\(UUID().uuidString).compiling"))
  }

  private func exists(_ url: URL) -> Bool { FileManager.default.fileExists(atPath: url.path) }

  @Test func whatAKilledProcessLeftIsRemoved() throws {
    let earlier = try compile()
    Thread.sleep(forTimeInterval: 0.05)
    try deadNote()
    let (left, other, foreign) = (try compile(), try compile("other"), try compile("net", "mine"))
    // It may be one that is not locked yet.
    CompileNote.sweep(cache, temporary: temporary)
    #expect(exists(left))
    CompileNote.sweep(cache, temporary: temporary, patience: -1)
    #expect(!exists(left))
    #expect(exists(earlier) && exists(other) && exists(foreign))
    #expect(try folder.names(in: "cache").isEmpty)
  }

  @Test func whatALivingProcessCompilesStays() throws {
    let note = try #require(CompileNote(of: package, in: cache))
    try deadNote()
    let compiled = try compile()
    CompileNote.sweep(cache, temporary: temporary, patience: -1)
    #expect(exists(compiled))
    #expect(try folder.names(in: "cache").count == 2)
    note.end()
    CompileNote.sweep(cache, temporary: temporary, patience: -1)
    #expect(!exists(compiled))
    #expect(try folder.names(in: "cache").isEmpty)
  }

  @Test func aCompileIsNotedWhileItLasts() throws {
    try FileManager.default.copyItem(at: Fixture.package("linear"), to: package)
    let compileCache = CompileCache(folder: cache)
    var noted: [String] = []
    _ = try compileCache.model(for: package) { _ in
      noted = try folder.names(in: "cache").filter { $0.hasSuffix(".compiling") }
      return try compile()
    }
    #expect(noted.count == 1)
    #expect(try folder.names(in: "cache").allSatisfy { !$0.hasSuffix(".compiling") })
  }
}
