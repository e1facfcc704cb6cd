import Foundation

/// A new folder that is removed with the object, or with the process, or by the next process where this one is killed.
public final class TemporaryFolder: Sendable {
  public let url: URL

  public init() throws {
    url = ProcessFolder.url.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  /// The names in it, hidden ones included.
  public func names(in folder: String = "") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: url.appendingPathComponent(folder).path).sorted()
  }

  /// A folder that all tests of the process share.
  public static func shared(_ name: String) -> URL { ProcessFolder.url.appendingPathComponent(name) }
}

/// The folder of all of this process's folders.
private enum ProcessFolder {
  private static let prefix = "tintype-tests-"

  static let url: URL = {
    let temporary = FileManager.default.temporaryDirectory
    for name in (try? FileManager.default.contentsOfDirectory(atPath: temporary.path)) ?? [] {
      guard name.hasPrefix(prefix), let process = Int32(name.dropFirst(prefix.count)), !isRunning(process) else {
        continue
      }
      try? FileManager.default.removeItem(at: temporary.appendingPathComponent(name))
    }
    atexit { try? FileManager.default.removeItem(at: ProcessFolder.url) }
    return temporary.appendingPathComponent("\(prefix)\(ProcessInfo.processInfo.processIdentifier)")
  }()

  private static func isRunning(_ process: Int32) -> Bool { kill(process, 0) == 0 || errno != ESRCH }
}
