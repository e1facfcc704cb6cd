import Foundation

/// Files that a command shall write: looked at before minutes of work.
enum OutputFile {
  /// Throws `ArgumentError` where the file cannot be written.
  static func check(_ file: URL, _ spec: CommandSpec) throws {
    try checkFolder(file.deletingLastPathComponent(), spec)
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder), isFolder.boolValue {
      throw ArgumentError(problem: "\(file.givenPath) is a folder: name a file", command: spec.fullName)
    }
    // Tried, not asked: permissions alone do not tell of read-only and special file systems.
    let trial = file.deletingLastPathComponent().appendingPathComponent(".\(UUID().uuidString).tintype")
    let descriptor = open(trial.path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw ArgumentError(
        problem:
          "\(file.givenPath) cannot be written (\(String(cString: strerror(errno)))): name a file in a folder that "
          + "can", command: spec.fullName)
    }
    close(descriptor)
    unlink(trial.path)
  }

  /// Throws `ArgumentError` where there is no such folder.
  static func checkFolder(_ folder: URL, _ spec: CommandSpec, orName: String = "another file") throws {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder), isFolder.boolValue else {
      throw ArgumentError(
        problem: "the folder \(folder.givenPath) does not exist: make it, or name \(orName)", command: spec.fullName)
    }
  }
}
