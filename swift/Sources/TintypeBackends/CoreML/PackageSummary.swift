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
  /// Functions with their inputs, outputs and states; an output that the interface gives no shape has the program's.
  package let description: ModelDescription
  /// What makes some of the functions classifiers, by function.
  package let classifiers: [String: ClassifierDescription]
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
      guard let functions = try ProgramFunction.all(parsing: bytes) else { throw NoProgram() }
      specificationVersion = specification.version
      description = specification.description.completed(by: functions)
      classifiers = specification.classifiers
      operations = functions.reduce(into: [:]) { $0[$1.name] = $1.counts }
      // Functions of one package share their weights.
      parameters = functions.map(\.parameters).max() ?? 0
      metadata = specification.metadata
      weightBytes = files.weightBytes()
    } catch {
      throw BackendError.unreadable(package, error)
    }
  }

  private struct NoProgram: Error, CustomStringConvertible {
    let description = "it holds no ML Program, the only kind that is read"
  }
}

extension ModelDescription {
  fileprivate func completed(by programs: [ProgramFunction]) -> ModelDescription {
    ModelDescription(
      functions: functions.map { function in
        guard let program = programs.first(where: { $0.name == function.name }) else { return function }
        return FunctionDescription(
          name: function.name, inputs: function.inputs,
          outputs: function.outputs.map { output in
            guard output.shape == nil, let shape = program.tensors[output.name]?.shape else { return output }
            return FeatureDescription(
              name: output.name, elementType: output.elementType, shape: shape, isOptional: output.isOptional)
          }, states: function.states)
      })
  }
}

extension BackendError {
  /// What is no package, or a damaged one.
  package static func unreadable(_ package: URL, _ error: any Error) -> BackendError {
    let manifest = package.appendingPathComponent("Manifest.json").path
    if !FileManager.default.fileExists(atPath: manifest) {
      return .failed(
        backend: .coreml, kind: .io,
        message: "\(package.relativePath) is not an .mlpackage: it has no Manifest.json; name one, or a bundle's folder"
      )
    }
    return .failed(
      backend: .coreml, kind: .format,
      message: "\(package.relativePath) cannot be read as an .mlpackage (\(error)): convert or download the model again"
    )
  }
}
