import Dispatch
import TintypeMLX
import TintypePackages

/// A model that runs on the engine, on the CPU.
///
/// This is the portable implementation of Apple's class for systems without Core ML: the same names, signatures and
/// errors for what they cover, and no Neural Engine or GPU whatever the configuration asks for.
open class MLModel: @unchecked Sendable {
  /// Inputs, outputs, states and metadata of the function that this model runs.
  public let modelDescription: MLModelDescription
  /// A copy: changes of it do not reach the model.
  public var configuration: MLModelConfiguration { MLModelConfiguration(settings) }
  private let settings: MLModelConfiguration.Settings
  let engineModel: EngineModel
  let function: FunctionDescription
  let classifier: ClassifierDescription?

  /// Opens a compiled model (`.mlmodelc`) with the default configuration.
  public convenience init(contentsOf url: URL) throws {
    try self.init(contentsOf: url, configuration: MLModelConfiguration())
  }

  /// Opens a compiled model (`.mlmodelc`).
  public convenience init(contentsOf url: URL, configuration: MLModelConfiguration) throws {
    try self.init(contentsOf: url, settings: configuration.settings)
  }

  private init(contentsOf url: URL, settings: MLModelConfiguration.Settings) throws {
    let package = try CompiledModel.package(in: url)
    let model = try asCoreMLErrors {
      try EngineModel(path: package.path, library: EngineLibrary.open())
    }
    let description = model.modelDescription
    guard let function = description.function(named: settings.functionName) else {
      throw MLModelError(
        .generic, status: .invalidArgument,
        "function '\(settings.functionName ?? "")' does not exist in \(url.lastPathComponent); it has "
          + description.functions.map { "'\($0.name)'" }.joined(separator: ", "))
    }
    self.function = function
    engineModel = model
    self.settings = settings
    // The engine has accepted the package; where its shapes cannot be read, they are as flexible as it says.
    let bytes = (try? Data(contentsOf: PackageFiles(package: package).specificationURL())).map { [UInt8]($0) } ?? []
    let shapes = try? FlexibleShapes(parsing: bytes)
    let classifier = try? ClassifierDescription.all(parsing: bytes)[function.name]
    self.classifier = classifier
    func describe(_ feature: FeatureDescription) throws -> MLFeatureDescription {
      if let description = classifier?.describe(feature.name) { return description }
      return try MLFeatureDescription(
        feature, type: .multiArray, flexible: shapes?.entry(function: function.name, feature: feature.name))
    }
    modelDescription = try MLModelDescription(
      inputs: function.inputs.map(describe), outputs: function.outputs.map(describe),
      states: function.states.map { try MLFeatureDescription($0, type: .state) },
      metadata: ModelMetadata.keys(fromJSON: model.metadataJSON), classifier: classifier)
  }

  /// Opens a compiled model without blocking the caller.
  open class func load(
    contentsOf url: URL, configuration: MLModelConfiguration = MLModelConfiguration()
  ) async throws -> sending MLModel {
    let settings = configuration.settings
    return try await Blocking.run { try MLModel(contentsOf: url, settings: settings) }
  }

  /// The same; `handler` is called on another thread.
  open class func load(
    contentsOf url: URL, configuration: MLModelConfiguration = MLModelConfiguration(),
    completionHandler handler: @escaping (Result<MLModel, any Error>) -> Void
  ) {
    let settings = configuration.settings
    // As Apple's, it is called once and from one thread; what it captures is the caller's affair.
    nonisolated(unsafe) let handler = handler
    DispatchQueue.global().async {
      handler(Result { try MLModel(contentsOf: url, settings: settings) })
    }
  }

  /// What `print(model)` shows; it says which implementation runs.
  open var description: String {
    "MLModel (Tintype's portable Core ML: MLX engine, CPU only) function '\(function.name)'"
  }
}

extension MLModel: CustomStringConvertible {}

/// Facts about this implementation of Core ML, which is not Apple's.
public enum PortableCoreML {
  /// Throws when the engine that runs the models is missing.
  public static func checkAvailability() throws {
    try asCoreMLErrors { try EngineLibrary.open().checkAvailability() }
  }
}

/// Reads the engine's metadata document.
enum ModelMetadata {
  private struct Document: Decodable {
    let metadata: [String: String]?
  }

  /// Apple's keys for the standard entries; everything else is the creator's.
  static func keys(fromJSON json: String?) -> [MLModelMetadataKey: Any] {
    guard let json, let document = try? JSONDecoder().decode(Document.self, from: Data(json.utf8)),
      let entries = document.metadata
    else { return [:] }
    let standard: [String: MLModelMetadataKey] = [
      "shortDescription": .description, "versionString": .versionString, "author": .author, "license": .license,
    ]
    var result: [MLModelMetadataKey: Any] = [:]
    var creatorDefined: [String: String] = [:]
    for (name, value) in entries {
      if let key = standard[name] { result[key] = value } else { creatorDefined[name] = value }
    }
    result[.creatorDefinedKey] = creatorDefined
    return result
  }
}
