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

/// Whether a folder's disk is full.
enum DiskSpace {
  /// Whether an error, or one that it was made of, says that the disk or the user's share of it is full.
  static func isExhausted(_ error: any Error) -> Bool {
    if let error = error as? POSIXError { return error.code == .ENOSPC || error.code == .EDQUOT }
    if let error = error as? CocoaError, error.code == .fileWriteOutOfSpace { return true }
    return underlying(error).map(isExhausted) ?? false
  }

  /// Bytes that this user may still write on the folder's disk; nil where the system does not tell.
  static func free(at folder: URL) -> Int? {
    var folder = folder.standardizedFileURL
    while !FileManager.default.fileExists(atPath: folder.path), folder.path != "/" { folder.deleteLastPathComponent() }
    var status = statvfs()
    guard statvfs(folder.path, &status) == 0 else { return nil }
    return Int(clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue)
  }

  /// Bytes of all files in a folder.
  static func size(of folder: URL) -> Int {
    ((try? PackageFiles(package: folder).all()) ?? []).reduce(0) { $0 + $1.size }
  }

  private static func underlying(_ error: any Error) -> (any Error)? {
    #if canImport(Darwin)
      return (error as NSError).userInfo[NSUnderlyingErrorKey] as? any Error
    #else
      return (error as? CocoaError)?.userInfo["NSUnderlyingError"] as? any Error
    #endif
  }
}
