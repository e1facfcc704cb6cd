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

/// Compiled models, each made once and found by its content.
///
/// An entry's name says what it was made from: NAME-CONTENT.mlmodelc, where CONTENT is a digest of all the package's files,
/// the system's build and the chip. The package's path is no part of it: apps' folders move when they are updated.
/// Compute units are left out: Core ML compiles the same files for all of them (the compiler is not told of units) and
/// specialises at load, into a cache of the system's own. An entry appears by one rename, so other processes see all of
/// it or nothing.
struct CompileCache {
  let folder: URL
  /// After how many seconds an unfinished entry has nobody who finishes it.
  var abandonedAfter = 86_400.0
  /// For how many seconds an entry whose packages are gone waits for one of the same content.
  var forgottenAfter = 30 * 86_400.0

  /// The system's cache folder for this user.
  static var standardFolder: URL {
    let manager = FileManager.default
    let caches = manager.urls(for: .cachesDirectory, in: .userDomainMask).first ?? manager.temporaryDirectory
    return caches.appendingPathComponent("tintype").appendingPathComponent("coreml")
  }

  /// The compiled model of a package; `compile` makes it when there is none, in a folder of its own choice.
  func model(for package: URL, compile: (URL) throws -> URL) throws -> URL {
    let manager = FileManager.default
    let path = package.standardizedFileURL.path
    let digest = try ModelKey.digest(of: package, place: ModelKey.place, FileDigests(inCache: folder))
    let name = "\(package.deletingPathExtension().lastPathComponent)-\(digest).mlmodelc"
    let entry = folder.appendingPathComponent(name, isDirectory: true)
    if manager.fileExists(atPath: entry.path) {
      CacheEntry(url: entry).serve(path)
      return entry
    }
    let temporary = manager.temporaryDirectory
    CompileNote.sweep(folder, temporary: temporary)
    let note = CompileNote(of: package, in: folder)
    defer { note?.end() }
    let compiled: URL
    do {
      compiled = try compile(package)
    } catch {
      // Core ML's compiler does not always say why it failed, and writes about what the package holds.
      let needed = DiskSpace.size(of: package)
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
    CacheEntry(url: entry).recordFiles()
    CacheEntry(url: entry).serve(path)
    removeStaleEntries(of: path, except: name)
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

  /// Removes an entry that could not be loaded, if making it anew may help: it is damaged, or reading it failed and it
  /// has not been made anew for that before. Says whether it did.
  func discard(_ entry: URL, after error: any Error) -> Bool {
    guard entry.deletingLastPathComponent().standardizedFileURL.path == folder.standardizedFileURL.path else {
      return false
    }
    let entry = CacheEntry(url: entry)
    if entry.isDamaged {
      entry.remove()
      return true
    }
    guard let kind = (error as? BackendError)?.kind, kind == .io || kind == .format, !entry.wasMadeAnew else {
      return false
    }
    entry.remove()
    entry.rememberMadeAnew()
    return true
  }

  /// Drops what nobody will ask for again: the same package before it changed, packages that have been gone for long, and
  /// what a process left that ended while it moved an entry here.
  private func removeStaleEntries(of package: String, except current: String) {
    let manager = FileManager.default
    let names = (try? manager.contentsOfDirectory(atPath: folder.path)) ?? []
    for name in names where name.hasSuffix(".mlmodelc") && name != current {
      let entry = folder.appendingPathComponent(name)
      if !name.hasPrefix(".") {
        let entry = CacheEntry(url: entry)
        if !entry.isWanted(after: package, patience: forgottenAfter) { entry.remove() }
      } else if let age = try? FileStatus(of: entry).age, age > abandonedAfter {
        try? manager.removeItem(at: entry)
      }
    }
  }
}
