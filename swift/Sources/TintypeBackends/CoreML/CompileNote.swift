import TintypePackages

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A compile under way, told by a file in the cache folder that is locked as long as its process lives.
///
/// Core ML compiles to a place of its own choice among the temporary files, NAME_UUID.mlmodelc, as large as the model.
/// What a process leaves there that is killed, the next one finds by the note, whose lock is gone.
struct CompileNote {
  private static let suffix = ".compiling"

  private let file: URL
  private let descriptor: Int32

  /// Nil where it cannot be written: what is left then stays.
  init?(of package: URL, in folder: URL) {
    try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    file = folder.appendingPathComponent(UUID().uuidString + Self.suffix)
    descriptor = open(file.path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return nil }
    let name = Array(Self.name(of: package).utf8)
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, write(descriptor, name, name.count) == name.count else {
      end()
      return nil
    }
  }

  /// The compile is over, and its result moved or removed.
  func end() {
    unlink(file.path)
    close(descriptor)
  }

  /// Removes what killed processes left of their compiles.
  ///
  /// - Parameter patience: for how many seconds a note without a lock may be one that is being made.
  static func sweep(_ folder: URL, temporary: URL, patience: Double = 60) {
    let manager = FileManager.default
    let notes = ((try? manager.contentsOfDirectory(atPath: folder.path)) ?? []).filter { $0.hasSuffix(suffix) }
    if notes.isEmpty { return }
    var (dead, live): ([(file: URL, name: String, began: Int64)], Set<String>) = ([], [])
    for file in notes.map(folder.appendingPathComponent) {
      guard let status = try? FileStatus(of: file), let data = try? Data(contentsOf: file) else { continue }
      let name = String(decoding: data, as: UTF8.self)
      if isLocked(file) || status.age < patience {
        live.insert(name)
      } else {
        dead.append((file, name, status.modified))
      }
    }
    // Of two of one name nobody can tell which is whose.
    for note in dead where !live.contains(note.name) {
      for left in leftovers(of: note.name, since: note.began, temporary) { try? manager.removeItem(at: left) }
      try? manager.removeItem(at: note.file)
    }
  }

  private static func leftovers(of name: String, since began: Int64, _ temporary: URL) -> [URL] {
    let (start, end) = ("\(name)_", ".mlmodelc")
    let names = (try? FileManager.default.contentsOfDirectory(atPath: temporary.path)) ?? []
    return names.filter {
      $0.hasPrefix(start) && $0.hasSuffix(end)
        && UUID(uuidString: String($0.dropFirst(start.count).dropLast(end.count))) != nil
    }.map(temporary.appendingPathComponent).filter { (try? FileStatus(of: $0)).map { $0.changed >= began } ?? false }
  }

  private static func isLocked(_ file: URL) -> Bool {
    let descriptor = open(file.path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return true }
    defer { close(descriptor) }
    return flock(descriptor, LOCK_EX | LOCK_NB) != 0
  }

  private static func name(of package: URL) -> String { package.deletingPathExtension().lastPathComponent }
}
