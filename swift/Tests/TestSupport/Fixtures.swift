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
