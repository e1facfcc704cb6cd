#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The files of an `.mlpackage`.
package struct PackageFiles {
  package let package: URL

  package init(package: URL) { self.package = package }

  private struct Manifest: Decodable {
    struct Item: Decodable { let path: String }
    let itemInfoEntries: [String: Item]
    let rootModelIdentifier: String
  }

  /// `model.mlmodel`, where the manifest says it is.
  package func specificationURL() throws -> URL {
    let manifest = try JSONDecoder().decode(
      Manifest.self, from: Data(contentsOf: package.appendingPathComponent("Manifest.json")))
    let path = manifest.itemInfoEntries[manifest.rootModelIdentifier]?.path ?? "com.apple.CoreML/model.mlmodel"
    return package.appendingPathComponent("Data").appendingPathComponent(path)
  }

  package func specification() throws -> PackageSpecification {
    try PackageSpecification(parsing: [UInt8](Data(contentsOf: specificationURL())))
  }

  /// Bytes of all weight files.
  package func weightBytes() -> Int {
    all().filter { $0.path.hasSuffix(".bin") }.reduce(0) { $0 + $1.size }
  }

  /// Every file with its path inside the package and its size, in the order of the paths. Links are followed.
  package func all() -> [(path: String, size: Int)] {
    let paths = (try? FileManager.default.subpathsOfDirectory(atPath: package.path)) ?? []
    return paths.sorted().compactMap { path in
      guard let status = try? FileStatus(of: package.appendingPathComponent(path)), !status.isFolder else { return nil }
      return (path, status.size)
    }
  }
}
