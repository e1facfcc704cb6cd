/// A key of a model's metadata.
public struct MLModelMetadataKey: RawRepresentable, Hashable, Sendable {
  public let rawValue: String

  public init(rawValue: String) { self.rawValue = rawValue }

  public static let description = MLModelMetadataKey(rawValue: "MLModelDescriptionKey")
  public static let versionString = MLModelMetadataKey(rawValue: "MLModelVersionStringKey")
  public static let author = MLModelMetadataKey(rawValue: "MLModelAuthorKey")
  public static let license = MLModelMetadataKey(rawValue: "MLModelLicenseKey")
  public static let creatorDefinedKey = MLModelMetadataKey(rawValue: "MLModelCreatorDefinedKey")
}

/// What a model takes and gives, and what its author says of it.
open class MLModelDescription {
  public let inputDescriptionsByName: [String: MLFeatureDescription]
  public let outputDescriptionsByName: [String: MLFeatureDescription]
  public let stateDescriptionsByName: [String: MLFeatureDescription]
  public let metadata: [MLModelMetadataKey: Any]
  /// Only classifiers have one.
  public let predictedFeatureName: String?
  /// Only classifiers have one.
  public let predictedProbabilitiesName: String?
  public let isUpdatable = false

  init(
    inputs: [MLFeatureDescription], outputs: [MLFeatureDescription], states: [MLFeatureDescription],
    metadata: [MLModelMetadataKey: Any]
  ) {
    inputDescriptionsByName = inputs.reduce(into: [:]) { $0[$1.name] = $1 }
    outputDescriptionsByName = outputs.reduce(into: [:]) { $0[$1.name] = $1 }
    stateDescriptionsByName = states.reduce(into: [:]) { $0[$1.name] = $1 }
    self.metadata = metadata
    predictedFeatureName = nil
    predictedProbabilitiesName = nil
  }
}
