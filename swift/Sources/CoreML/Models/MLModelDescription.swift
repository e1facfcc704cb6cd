import TintypePackages

/// A key of a model's metadata.
public struct MLModelMetadataKey: RawRepresentable, Hashable, Sendable {
  /// Core ML's name of the key.
  public let rawValue: String

  /// The key of this name.
  public init(rawValue: String) { self.rawValue = rawValue }

  /// What the model is, in a few words.
  public static let description = MLModelMetadataKey(rawValue: "MLModelDescriptionKey")
  /// Which version of it this is.
  public static let versionString = MLModelMetadataKey(rawValue: "MLModelVersionStringKey")
  /// Who made it.
  public static let author = MLModelMetadataKey(rawValue: "MLModelAuthorKey")
  /// What may be done with it.
  public static let license = MLModelMetadataKey(rawValue: "MLModelLicenseKey")
  /// The creator's own entries, a dictionary of texts.
  public static let creatorDefinedKey = MLModelMetadataKey(rawValue: "MLModelCreatorDefinedKey")
}

/// What a model takes and gives, and what its author says of it.
open class MLModelDescription {
  /// What a prediction takes.
  public let inputDescriptionsByName: [String: MLFeatureDescription]
  /// What a prediction gives.
  public let outputDescriptionsByName: [String: MLFeatureDescription]
  /// What the model keeps between predictions.
  public let stateDescriptionsByName: [String: MLFeatureDescription]
  /// What its author says of it, texts; the creator's own entries are a dictionary of texts.
  public let metadata: [MLModelMetadataKey: Any]
  /// The output with the predicted class, of a classifier; else nil.
  public let predictedFeatureName: String?
  /// The output with the probability of every class, of a classifier; else nil.
  public let predictedProbabilitiesName: String?
  /// The labels of a classifier, texts or numbers, in the order of its probabilities; else nil.
  public let classLabels: [Any]?
  /// Whether the model can be trained further: never here.
  public let isUpdatable = false
  /// What training would take: nothing here.
  public let trainingInputDescriptionsByName: [String: MLFeatureDescription] = [:]

  init(
    inputs: [MLFeatureDescription], outputs: [MLFeatureDescription], states: [MLFeatureDescription],
    metadata: [MLModelMetadataKey: Any], classifier: ClassifierDescription?
  ) {
    func byName(_ features: [MLFeatureDescription]) -> [String: MLFeatureDescription] {
      features.reduce(into: [:]) { $0[$1.name] = $1 }
    }
    inputDescriptionsByName = byName(inputs)
    outputDescriptionsByName = byName(outputs)
    stateDescriptionsByName = byName(states)
    self.metadata = metadata
    predictedFeatureName = classifier?.label
    predictedProbabilitiesName = classifier?.probabilities
    classLabels = classifier?.classes.map(\.object)
  }
}
