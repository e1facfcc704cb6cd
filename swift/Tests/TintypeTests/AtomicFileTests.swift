import Foundation
import TestSupport
import Testing
import Tintype

@Suite struct AtomicFileTests {
  /// The system says no more than a number of most.
  @Test func whatCannotBeWrittenSaysWhy() throws {
    let folder = try TemporaryFolder()
    let picture = try #require(RGBImage(width: 1, height: 1, bytes: [1, 2, 3]))
    let (taken, lost) = (folder.url.appendingPathComponent("a.png"), folder.url.appendingPathComponent("b/a.png"))
    try FileManager.default.createDirectory(at: taken, withIntermediateDirectories: false)
    let remote = try #require(URL(string: "https://example.org/a.png"))
    for (url, reason) in [
      (taken, "it is a folder"), (lost, "the folder \(lost.deletingLastPathComponent().path) does not exist"),
      (remote, "https://example.org/a.png is no file's URL"),
    ] {
      #expect(throws: OutputError.cannotWrite(path: url.path, reason: reason)) { try picture.write(to: url) }
    }
    #expect(try folder.names(in: ".") == ["a.png"])
  }
}
