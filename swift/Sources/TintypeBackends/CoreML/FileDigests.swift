import Dispatch
import TintypeMLX
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

/// Digests of files' contents. Weights of gigabytes take seconds to read, so a digest is kept with the file's number,
/// size and times, and the file is read again only when one of them is another.
///
/// The checksums in a bundle's description are not used: a package that is replaced by hand would keep them.
struct FileDigests {
  /// One small file for each that was read, named NUMBER-SIZE: times and digest.
  let folder: URL
  /// Systems count times in steps of up to two seconds: what is younger may change again without a sign of it.
  var settledAfter = 2.0

  init(inCache cache: URL) { folder = cache.appendingPathComponent("digests", isDirectory: true) }

  /// In hexadecimal. Throws where the file cannot be read.
  func digest(of file: URL) throws -> String {
    let status = try FileStatus(of: file)
    let note = folder.appendingPathComponent("\(status.inode)-\(status.size)")
    let times = "\(status.modified) \(status.changed) "
    if let known = try? Data(contentsOf: note) {
      let text = String(decoding: known, as: UTF8.self)
      if text.hasPrefix(times), text.utf8.count == times.utf8.count + 64 { return String(text.suffix(64)) }
    }
    let age = status.age
    let digest = try Self.read(file, size: status.size)
    if age > settledAfter, try FileStatus(of: file) == status { keep(times + digest, in: note) }
    return digest
  }

  /// A folder that cannot be written costs only time, so it is no error.
  private func keep(_ text: String, in note: URL) {
    let manager = FileManager.default
    // Nothing says which files are gone; what is dropped here is read again.
    if let names = try? manager.contentsOfDirectory(atPath: folder.path), names.count >= 1000 {
      try? manager.removeItem(at: folder)
    }
    try? manager.createDirectory(at: folder, withIntermediateDirectories: true)
    try? Data(text.utf8).write(to: note, options: .atomic)
  }

  /// The digest of the digests of all pieces, which are read side by side.
  private static func read(_ file: URL, size: Int) throws -> String {
    let piece = 1 << 26
    let count = max(1, (size + piece - 1) / piece)
    let digests = Locked([Result<[UInt8], any Error>](repeating: .success([]), count: count))
    DispatchQueue.concurrentPerform(iterations: count) { index in
      let digest = Result { try read(file, from: index * piece, to: min(size, (index + 1) * piece)) }
      digests.withLock { $0[index] = digest }
    }
    var whole = SHA256()
    for digest in digests.withLock({ $0 }) { whole.update(try digest.get()) }
    return whole.hexDigest()
  }

  private static func read(_ file: URL, from start: Int, to end: Int) throws -> [UInt8] {
    func failure() -> POSIXError { POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    let descriptor = open(file.path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure() }
    defer { close(descriptor) }
    var digest = SHA256()
    let capacity = min(1 << 20, max(1, end - start))
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 16)
    defer { buffer.deallocate() }
    var place = start
    while place < end {
      let count = pread(descriptor, buffer.baseAddress, min(capacity, end - place), off_t(place))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw count < 0 ? failure() : POSIXError(.EIO) }
      digest.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      place += count
    }
    return digest.digest()
  }
}
