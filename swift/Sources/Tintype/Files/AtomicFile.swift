import Foundation

/// Files that are either complete or not there.
package enum AtomicFile {
  /// Writes beside the destination, then renames. Throws `OutputError.cannotWrite` with the reason.
  package static func write(_ data: Data, to url: URL) throws {
    do {
      try data.write(to: url, options: .atomic)
    } catch {
      let folder = url.deletingLastPathComponent().path
      let reason =
        FileManager.default.fileExists(atPath: folder)
        ? error.localizedDescription : "the folder \(folder) does not exist"
      throw OutputError.cannotWrite(path: url.path, reason: reason)
    }
  }
}

/// Why a file could not be written.
public enum OutputError: Error, Equatable, Sendable {
  /// The system's reason is in `reason`; nothing was left at `path`, and what was there before is there still.
  case cannotWrite(path: String, reason: String)
}

extension OutputError: ExplainedError {
  package var explanation: (problem: String, remedy: String?) {
    switch self {
    case .cannotWrite(let path, let reason):
      ("\(path) cannot be written (\(reason))", "name a folder that exists and that you may write to")
    }
  }
}
