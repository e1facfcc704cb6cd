import TintypeMLX
import TintypePackages

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What a package's files say of it, read without any engine: for `tintype inspect`.
package struct PackageSummary: Sendable {
  /// Core ML's specification version: 7 for iOS 16 and macOS 13, 8 for iOS 17, 9 for iOS 18.
  package let specificationVersion: Int
  /// Functions with their inputs, outputs and states.
  package let description: ModelDescription
  /// How often each op occurs, by function, constants apart.
  package let operations: [String: [String: Int]]
  /// Author, licence, description and the package's own entries.
  package let metadata: [String: String]
  /// Elements of the weights; compressed ones count as what they stand for.
  package let parameters: Int
  /// Bytes of all weight files.
  package let weightBytes: Int

  /// Throws `BackendError.failed` naming the file and the remedy where it is no package or a damaged one.
  package init(package: URL) throws {
    let files = PackageFiles(package: package)
    do {
      let bytes = [UInt8](try Data(contentsOf: files.specificationURL()))
      let specification = try PackageSpecification(parsing: bytes)
      let functions = try ProgramFunction.all(parsing: bytes) ?? []
      specificationVersion = specification.version
      description = specification.description
      operations = functions.reduce(into: [:]) { $0[$1.name] = $1.counts }
      // Functions of one package share their weights.
      parameters = functions.map(\.parameters).max() ?? 0
      metadata = specification.metadata
      weightBytes = files.weightBytes()
    } catch {
      throw BackendError.unreadable(package, error)
    }
  }
}

extension BackendError {
  /// What is no package, or a damaged one.
  package static func unreadable(_ package: URL, _ error: any Error) -> BackendError {
    let manifest = package.appendingPathComponent("Manifest.json").path
    if !FileManager.default.fileExists(atPath: manifest) {
      return .failed(
        backend: .coreml, kind: .io,
        message: "\(package.path) is not an .mlpackage: it has no Manifest.json; name one, or a bundle's folder")
    }
    return .failed(
      backend: .coreml, kind: .format,
      message: "\(package.path) cannot be read as an .mlpackage (\(error)): convert the model again")
  }
}
