import CoreML
import TestSupport

/// A compiled fixture that is removed with the object.
final class Compiled {
  let url: URL

  init(_ name: String) async throws { url = try await MLModel.compileModel(at: Fixture.package(name)) }
  deinit { try? FileManager.default.removeItem(at: url) }

  func model() throws -> MLModel { try MLModel(contentsOf: url, configuration: MLModelConfiguration()) }
}
