#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The files of an `.mlpackage`, or of another model of one file or a folder.
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
    ((try? all()) ?? []).filter { $0.path.hasSuffix(".bin") }.reduce(0) { $0 + $1.size }
  }

  /// Every file with its path inside the package and its size, in the order of the paths; a package that is a file itself
  /// has that one, under the empty path. Links are followed. Throws where one of them cannot be read.
  package func all() throws -> [(path: String, size: Int)] {
    try files(under: "").sorted { $0.path < $1.path }
  }

  /// Where a file of `all` lies.
  package func url(of path: String) -> URL { path.isEmpty ? package : package.appendingPathComponent(path) }

  private func files(under path: String) throws -> [(path: String, size: Int)] {
    let status = try FileStatus(of: url(of: path))
    guard status.isFolder else { return [(path, status.size)] }
    return try FileManager.default.contentsOfDirectory(atPath: url(of: path).path).flatMap { name in
      try files(under: path.isEmpty ? name : "\(path)/\(name)")
    }
  }
}
