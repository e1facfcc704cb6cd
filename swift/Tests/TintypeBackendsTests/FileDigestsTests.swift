import Foundation
import TestSupport
import Testing

@testable import TintypeBackends

@Suite struct FileDigestsTests {
  private let folder: TemporaryFolder
  private let file: URL
  private var digests: FileDigests

  init() throws {
    folder = try TemporaryFolder()
    file = folder.url.appendingPathComponent("weight.bin")
    try Data((0..<200).map { UInt8($0) }).write(to: file)
    digests = FileDigests(inCache: folder.url)
    digests.settledAfter = -1
  }

  private var notes: [String] { (try? folder.names(in: "digests")) ?? [] }

  private func sum(_ bytes: [UInt8]) -> SHA256 {
    var sum = SHA256()
    sum.update(bytes)
    return sum
  }

  @Test func theContentIsWhatCounts() throws {
    let expected = sum(sum([UInt8](try Data(contentsOf: file))).digest()).hexDigest()
    #expect(try digests.digest(of: file) == expected)
    let copy = folder.url.appendingPathComponent("copy")
    try FileManager.default.copyItem(at: file, to: copy)
    #expect(try digests.digest(of: copy) == expected)
    let link = folder.url.appendingPathComponent("link")
    try FileManager.default.createSymbolicLink(at: link, withDestinationURL: file)
    #expect(try digests.digest(of: link) == expected)
  }

  @Test func filesAreReadOnce() throws {
    let digest = try digests.digest(of: file)
    let note = digests.folder.appendingPathComponent(try #require(notes.first))
    let text = String(decoding: try Data(contentsOf: note), as: UTF8.self)
    #expect(text.hasSuffix(" " + digest))
    let planted = String(repeating: "0", count: 64)
    try Data((text.dropLast(64) + planted).utf8).write(to: note)
    #expect(try digests.digest(of: file) == planted)
    // Other times, or a note that is cut: the file is read again.
    try Data(("1 " + text).utf8).write(to: note)
    #expect(try digests.digest(of: file) == digest)
    try Data(text.dropLast().utf8).write(to: note)
    #expect(try digests.digest(of: file) == digest)
  }

  @Test func whatIsYoungIsNotTrusted() throws {
    let cautious = FileDigests(inCache: folder.url)
    try Data([1]).write(to: file)
    let first = try cautious.digest(of: file)
    #expect(notes.isEmpty)
    try Data([2]).write(to: file)
    #expect(try cautious.digest(of: file) != first)
  }

  @Test func missingFilesAreErrors() {
    #expect(throws: POSIXError.self) { try digests.digest(of: folder.url.appendingPathComponent("absent")) }
  }
}
