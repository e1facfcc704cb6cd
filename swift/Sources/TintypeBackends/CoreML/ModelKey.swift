import TintypePackages

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What a model is, in one line: a digest of its specification, of its weight files' sizes and times (gigabytes are
/// not read for it), and of where it runs.
enum ModelKey {
  /// The system's version with its build, and whose Core ML it is.
  static var system: String {
    "\(CoreMLPlatform.implementation) \(ProcessInfo.processInfo.operatingSystemVersionString)"
  }

  /// - Parameter place: what else the key depends on, such as the system.
  static func digest(of package: URL, place: String) throws -> String {
    var digest = SHA256()
    digest.update("1 \(place)\n")
    for file in PackageFiles(package: package).all() {
      digest.update("\(file.path) \(file.size)")
      if file.path.hasSuffix(".mlmodel") || file.path.hasSuffix(".json") {
        digest.update([UInt8](try Data(contentsOf: package.appendingPathComponent(file.path))))
      } else {
        digest.update(" \(file.modified)")
      }
      digest.update("\n")
    }
    return String(digest.hexDigest().prefix(32))
  }
}
