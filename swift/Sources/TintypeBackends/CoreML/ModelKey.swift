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
  static func digest(of package: URL, place: String, _ digests: FileDigests) throws -> String {
    var key = SHA256()
    key.update("2 \(place)\n")
    for file in PackageFiles(package: package).all() {
      key.update("\(file.path) \(try digests.digest(of: package.appendingPathComponent(file.path)))\n")
    }
    return String(key.hexDigest().prefix(32))
  }
}
