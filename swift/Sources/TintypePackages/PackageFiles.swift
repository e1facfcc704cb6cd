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

  /// Every file with its path inside the package, size and time of modification, in the order of the paths.
  package func all() -> [(path: String, size: Int, modified: Double)] {
    let manager = FileManager.default
    let paths = (try? manager.subpathsOfDirectory(atPath: package.path)) ?? []
    return paths.sorted().compactMap { path in
      let attributes = try? manager.attributesOfItem(atPath: package.appendingPathComponent(path).path)
      guard let attributes, attributes[.type] as? FileAttributeType != .typeDirectory else { return nil }
      let size = (attributes[.size] as? UInt64).map { Int(clamping: $0) } ?? attributes[.size] as? Int ?? 0
      let date = attributes[.modificationDate] as? Date
      return (path, size, date?.timeIntervalSinceReferenceDate ?? 0)
    }
  }
}
