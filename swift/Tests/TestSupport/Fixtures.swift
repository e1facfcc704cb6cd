import Foundation

/// Files that the tests read, found from this file's place in the repository.
public enum Fixture {
  /// The repository.
  public static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// A package of tests/data/packages; see tests/data/scripts/make_swift_fixtures.py for what each computes.
  public static func package(_ name: String) -> URL {
    root.appendingPathComponent("tests/data/packages/\(name).mlpackage")
  }
}

/// A new folder that is removed with the object.
public final class TemporaryFolder: Sendable {
  public let url: URL

  public init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("tintype-tests-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  /// The names in it, hidden ones included.
  public func names(in folder: String = "") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: url.appendingPathComponent(folder).path).sorted()
  }
}
