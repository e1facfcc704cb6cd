import Foundation
import TestSupport
import Testing

@testable import TintypeBackends

#if canImport(Glibc)
  import Glibc
#endif

@Suite struct DiskSpaceTests {
  private let folder: TemporaryFolder
  private let cache: CompileCache
  private let package = Fixture.package("linear")

  init() throws {
    folder = try TemporaryFolder()
    cache = CompileCache(folder: folder.url.appendingPathComponent("cache"))
  }

  @Test(
    arguments: [
      POSIXError(.ENOSPC), POSIXError(.EDQUOT), CocoaError(.fileWriteOutOfSpace),
      CocoaError(.fileWriteUnknown, userInfo: [NSUnderlyingErrorKey: POSIXError(.ENOSPC)]),
    ] as [any Error])
  func aCompilerOnAFullDiskIsToldFromOthers(_ cause: any Error) throws {
    let error = try #require(throws: BackendError.self) { try cache.model(for: package) { _ in throw cause } }
    #expect(error.kind == .unavailable)
    let needed = DiskSpace.size(of: package)
    let temporary = FileManager.default.temporaryDirectory.path
    #expect(
      error.description.hasPrefix(
        "the disk is full: compiling linear.mlpackage needs about \(needed) bytes in \(temporary), where "),
      "\(error)")
    #expect(error.description.hasSuffix("; free disk space or choose another cache folder"))
    #expect(!((try? folder.names(in: "cache")) ?? []).contains { $0.contains("mlmodelc") })
  }

  @Test func otherErrorsAreNot() {
    #expect(!DiskSpace.isExhausted(POSIXError(.EACCES)))
    #expect(!DiskSpace.isExhausted(CocoaError(.fileWriteNoPermission)))
    #expect(!DiskSpace.isExhausted(CancellationError()))
  }

  @Test func aFoldersFilesAreCounted() throws {
    let inner = folder.url.appendingPathComponent("a/b")
    try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: true)
    try Data(count: 700).write(to: inner.appendingPathComponent("x"))
    try Data(count: 50).write(to: folder.url.appendingPathComponent("y"))
    #expect(DiskSpace.size(of: folder.url) == 750)
    // A folder that is yet to be made is on its parent's disk.
    let missing = folder.url.appendingPathComponent("no/such/folder")
    #expect(try #require(DiskSpace.free(at: missing)) > 0)
  }

  #if os(Linux)
    /// A disk of 64 kB, where this user may mount one; elsewhere the causes above stand in for it.
    @Test func aFullDiskKeepsNothing() throws {
      let disk = folder.url.appendingPathComponent("disk")
      try FileManager.default.createDirectory(at: disk, withIntermediateDirectories: true)
      guard mount("tmpfs", disk.path, "tmpfs", 0, "size=64k") == 0 else { return }
      defer { umount2(disk.path, Int32(MNT_DETACH)) }
      let full = CompileCache(folder: disk.appendingPathComponent("cache"))
      let compiled = folder.url.appendingPathComponent("net.mlmodelc")
      let error = try #require(throws: BackendError.self) {
        try full.model(for: package) { _ in
          try FileManager.default.createDirectory(at: compiled, withIntermediateDirectories: true)
          for name in ["small", "weights"] {
            try Data(count: name == "small" ? 10 : 200_000).write(to: compiled.appendingPathComponent(name))
          }
          return compiled
        }
      }
      #expect(error.kind == .unavailable)
      #expect(
        error.description.hasPrefix(
          "the disk is full: the compiled model needs about 200010 bytes in \(full.folder.path), where "), "\(error)")
      let left = try FileManager.default.contentsOfDirectory(atPath: full.folder.path)
      #expect(left.allSatisfy { $0 == "digests" })
      #expect(!FileManager.default.fileExists(atPath: compiled.path))
    }
  #endif
}
