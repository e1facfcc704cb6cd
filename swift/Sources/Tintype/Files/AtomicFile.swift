import Foundation
import TintypeBackends

/// Files that are either complete or not there.
package enum AtomicFile {
  /// Writes beside the destination, then renames. Throws `OutputError.cannotWrite` with the reason.
  package static func write(_ data: Data, to url: URL) throws {
    do {
      try data.write(to: url, options: .atomic)
    } catch {
      throw OutputError.cannotWrite(path: url.path, reason: reason(url) ?? CoreMLPlatform.reason(of: error))
    }
  }

  /// What the system tells in fewer words, or none.
  private static func reason(_ url: URL) -> String? {
    guard url.isFileURL else { return "\(url.absoluteString) is no file's URL" }
    let folder = url.deletingLastPathComponent().path
    if !FileManager.default.fileExists(atPath: folder) { return "the folder \(folder) does not exist" }
    var isFolder: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
    return exists && isFolder.boolValue ? "it is a folder" : nil
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
