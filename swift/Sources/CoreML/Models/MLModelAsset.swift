/// A compiled model as a value: what it is, without loading it.
public final class MLModelAsset: Sendable {
  let url: URL

  /// - Parameter compiledModelURL: the `.mlmodelc` folder.
  public init(url compiledModelURL: URL) throws {
    _ = try CompiledModel.package(in: compiledModelURL)
    url = compiledModelURL
  }

  /// What the default function takes and gives.
  public func modelDescription() async throws -> MLModelDescription {
    try MLModel(contentsOf: url).modelDescription
  }

  /// What a function takes and gives.
  public func modelDescription(of functionName: String) async throws -> MLModelDescription {
    let configuration = MLModelConfiguration()
    configuration.functionName = functionName
    return try MLModel(contentsOf: url, configuration: configuration).modelDescription
  }

  /// The functions of the package, the default one first.
  public func functionNames() async throws -> [String] {
    try MLModel(contentsOf: url).engineModel.description.functions.map(\.name)
  }
}

extension MLModel {
  /// Opens an asset without blocking the caller.
  public class func load(
    asset: MLModelAsset, configuration: MLModelConfiguration = MLModelConfiguration()
  ) async throws -> sending MLModel {
    try await load(contentsOf: asset.url, configuration: configuration)
  }
}
