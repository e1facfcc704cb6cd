import TintypePackages

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What a model is, in one line: a digest of all its files' contents, and of where it runs.
enum ModelKey {
  /// Whose Core ML it is, the system's version with its build, and the chip.
  static var place: String {
    "\(CoreMLPlatform.implementation) \(ProcessInfo.processInfo.operatingSystemVersionString) "
      + CoreMLPlatform.deviceName
  }

  /// The package's own path is no part of it, so that a package may move.
  ///
  /// - Parameter place: what else the key depends on, such as the system.
  ///
  /// Throws `BackendError.failed` where a file cannot be read or there is none.
  static func digest(of package: URL, place: String, _ digests: FileDigests) throws -> String {
    var key = SHA256()
    key.update("2 \(place)\n")
    let package = PackageFiles(package: package)
    do {
      let files = try package.all()
      guard !files.isEmpty else { throw unreadable(package, "holds no files: check the path") }
      for file in files { key.update("\(file.path) \(try digests.digest(of: package.url(of: file.path)))\n") }
    } catch let error as BackendError {
      throw error
    } catch {
      throw unreadable(package, "cannot be read (\(CoreMLPlatform.reason(of: error))): check its permissions")
    }
    return String(key.hexDigest().prefix(32))
  }

  private static func unreadable(_ package: PackageFiles, _ problem: String) -> BackendError {
    .failed(
      backend: .coreml, kind: .io, message: "\(package.package.path) \(problem), or convert the model again")
  }
}
