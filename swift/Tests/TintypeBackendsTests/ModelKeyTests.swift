import Foundation
import TestSupport
import Testing

@testable import TintypeBackends

@Suite struct ModelKeyTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func key(_ package: URL) throws -> String {
    try ModelKey.digest(of: package, place: "system 1", FileDigests(inCache: folder.url))
  }

  /// Apple's compiler takes models of one file too.
  @Test func aSingleFileIsKnownByItsContent() throws {
    let file = folder.url.appendingPathComponent("net.mlmodel")
    try Data([1]).write(to: file)
    let first = try key(file)
    try Data([2]).write(to: file)
    #expect(try key(file) != first)
  }

  @Test func filesBehindLinkedFoldersCount() throws {
    let package = folder.url.appendingPathComponent("net.mlpackage")
    let data = folder.url.appendingPathComponent("data")
    for url in [package, data] { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
    try Data().write(to: package.appendingPathComponent("Manifest.json"))
    try FileManager.default.createSymbolicLink(at: package.appendingPathComponent("Data"), withDestinationURL: data)
    try Data([1]).write(to: data.appendingPathComponent("weight.bin"))
    let first = try key(package)
    try Data([2]).write(to: data.appendingPathComponent("weight.bin"))
    #expect(try key(package) != first)
  }

  @Test func whatCannotBeReadHasNone() throws {
    let package = folder.url.appendingPathComponent("net.mlpackage")
    #expect(throws: BackendError.self) { try key(package) }
    try FileManager.default.createDirectory(at: package, withIntermediateDirectories: true)
    let empty = #expect(throws: BackendError.self) { try key(package) }
    #expect(empty?.description == "\(package.path) holds no files: check the path, or convert the model again")
    try FileManager.default.createSymbolicLink(
      at: package.appendingPathComponent("weight.bin"), withDestinationURL: folder.url.appendingPathComponent("absent"))
    let broken = #expect(throws: BackendError.self) { try key(package) }
    #expect(broken?.kind == .io)
    #expect(broken?.description.hasPrefix("\(package.path) cannot be read (No such file or directory): ") == true)
  }
}
