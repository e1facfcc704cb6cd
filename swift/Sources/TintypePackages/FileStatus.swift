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

/// What the system says of a file; links are followed, as those that read it follow them.
package struct FileStatus: Equatable, Sendable {
  package let isFolder: Bool
  package let size: Int
  /// The file's number on its volume.
  package let inode: UInt64
  /// When the content was written, in nanoseconds since 1970. Tools that copy or unpack may set it.
  package let modified: Int64
  /// When content, name or owner were last changed, in nanoseconds since 1970. Nobody can set it.
  package let changed: Int64

  /// Throws `POSIXError` where there is no such file.
  package init(of file: URL) throws {
    var status = stat()
    guard stat(file.path, &status) == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    isFolder = status.st_mode & S_IFMT == S_IFDIR
    size = Int(status.st_size)
    inode = UInt64(status.st_ino)
    #if canImport(Darwin)
      (modified, changed) = (Self.nanoseconds(status.st_mtimespec), Self.nanoseconds(status.st_ctimespec))
    #else
      (modified, changed) = (Self.nanoseconds(status.st_mtim), Self.nanoseconds(status.st_ctim))
    #endif
  }

  /// How many seconds ago the file was changed.
  package var age: Double { Date().timeIntervalSince1970 - Double(changed) / 1e9 }

  private static func nanoseconds(_ time: timespec) -> Int64 {
    Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }
}
