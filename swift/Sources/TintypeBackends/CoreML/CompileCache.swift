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

/// Compiled models, each made once and found by its content.
///
/// An entry's name says what it was made from: NAME-PATH-CONTENT.mlmodelc, where PATH is a digest of the package's
/// path and CONTENT one of its specification, its weight files' sizes and times, and the system's build. (Weights of
/// gigabytes are not read for their digest.) Compute units are left out: Core ML compiles the same files for all of
/// them and specialises at load. An entry appears by one rename, so other processes see all of it or nothing.
struct CompileCache {
  let folder: URL

  /// The system's cache folder for this user.
  static var standardFolder: URL {
    let manager = FileManager.default
    let caches = manager.urls(for: .cachesDirectory, in: .userDomainMask).first ?? manager.temporaryDirectory
    return caches.appendingPathComponent("tintype").appendingPathComponent("coreml")
  }

  /// The compiled model of a package; `compile` makes it when there is none, in a folder of its own choice.
  func model(for package: URL, compile: (URL) throws -> URL) throws -> URL {
    let manager = FileManager.default
    let prefix = entryPrefix(of: package)
    let name = "\(prefix)\(try ModelKey.digest(of: package, place: ModelKey.system)).mlmodelc"
    let entry = folder.appendingPathComponent(name, isDirectory: true)
    if manager.fileExists(atPath: entry.path) { return entry }
    let compiled: URL
    do {
      compiled = try compile(package)
    } catch {
      // Core ML's compiler does not always say why it failed, and writes about what the package holds.
      let (temporary, needed) = (manager.temporaryDirectory, DiskSpace.size(of: package))
      let isFull = DiskSpace.isExhausted(error) || DiskSpace.free(at: temporary).map { $0 < needed } ?? false
      throw isFull ? Self.full(temporary, needed, "compiling \(package.lastPathComponent)", error) : error
    }
    do {
      try keep(compiled, as: entry)
    } catch {
      let needed = DiskSpace.size(of: compiled)
      try? manager.removeItem(at: compiled)
      if DiskSpace.isExhausted(error) { throw Self.full(folder, needed, "the compiled model", error) }
      throw Self.failure(
        "the compiled model cannot be kept in \(folder.path): \(CoreMLPlatform.reason(of: error)); make the folder "
          + "writable or choose another cache folder")
    }
    try? Data(package.standardizedFileURL.path.utf8).write(to: note(beside: entry), options: .atomic)
    removeStaleEntries(prefix: prefix, except: entry.lastPathComponent)
    return entry
  }

  private static func full(_ folder: URL, _ needed: Int, _ what: String, _ error: any Error) -> BackendError {
    let free = DiskSpace.free(at: folder).map { "\($0)" } ?? "an unknown number"
    let cause = DiskSpace.isExhausted(error) ? "" : " (\(CoreMLPlatform.reason(of: error)))"
    return failure(
      "the disk is full: \(what) needs about \(needed) bytes in \(folder.path), where \(free) are free\(cause); "
        + "free disk space or choose another cache folder")
  }

  /// True of this moment, not of the model: `auto` moves on, and nothing is remembered.
  private static func failure(_ message: String) -> BackendError {
    .failed(backend: .coreml, kind: .unavailable, message: message)
  }

  /// Moves a compiled model to its place, in one step for those who look at it.
  private func keep(_ compiled: URL, as entry: URL) throws {
    let manager = FileManager.default
    try manager.createDirectory(at: folder, withIntermediateDirectories: true)
    // The temporary folder may be on another volume, where a rename is not possible.
    let staged = folder.appendingPathComponent(".\(UUID().uuidString).mlmodelc", isDirectory: true)
    defer { try? manager.removeItem(at: staged) }
    try manager.moveItem(at: compiled, to: staged)
    if rename(staged.path, entry.path) != 0 {
      // Somebody else may have been faster; anything but that is an error.
      let reason = POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
      guard manager.fileExists(atPath: entry.path) else { throw reason }
    }
  }

  /// Forgets an entry: one that turned out to be damaged, or is of no use any more.
  func remove(_ entry: URL) {
    guard entry.deletingLastPathComponent().standardizedFileURL.path == folder.standardizedFileURL.path else { return }
    try? FileManager.default.removeItem(at: entry)
    try? FileManager.default.removeItem(at: note(beside: entry))
  }

  /// Drops what nobody will ask for again: the same package before it changed, and packages that are gone.
  private func removeStaleEntries(prefix: String, except current: String) {
    let manager = FileManager.default
    let names = (try? manager.contentsOfDirectory(atPath: folder.path)) ?? []
    for name in names where name.hasSuffix(".mlmodelc") && !name.hasPrefix(".") && name != current {
      let entry = folder.appendingPathComponent(name)
      let source = (try? Data(contentsOf: note(beside: entry))).map { String(decoding: $0, as: UTF8.self) }
      let isGone = source.map { !manager.fileExists(atPath: $0) } ?? false
      if name.hasPrefix(prefix) || isGone { remove(entry) }
    }
  }

  /// A file that holds the path of the package that an entry was made from.
  private func note(beside entry: URL) -> URL {
    entry.deletingPathExtension().appendingPathExtension("source")
  }

  private func entryPrefix(of package: URL) -> String {
    var digest = SHA256()
    digest.update(package.standardizedFileURL.path)
    return "\(package.deletingPathExtension().lastPathComponent)-\(digest.hexDigest().prefix(8))-"
  }
}
