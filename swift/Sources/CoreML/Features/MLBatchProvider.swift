/// A collection of feature providers.
public protocol MLBatchProvider {
  /// Number of elements.
  var count: Int { get }
  /// One element.
  func features(at index: Int) -> any MLFeatureProvider
}

/// A batch over an array.
open class MLArrayBatchProvider: MLBatchProvider {
  /// The elements.
  public let array: [any MLFeatureProvider]

  /// A batch of these elements, in their order.
  public init(array: [any MLFeatureProvider]) { self.array = array }

  /// Lists of values by feature name; all lists must be equally long.
  public init(dictionary: [String: [Any]]) throws {
    let count = dictionary.values.first?.count ?? 0
    for (name, values) in dictionary where values.count != count {
      throw MLModelError(
        .generic, status: .invalidArgument,
        "the lists of a batch must be equally long: '\(name)' has \(values.count) values, another list has \(count)")
    }
    array = try (0..<count).map { index in
      try MLDictionaryFeatureProvider(dictionary: dictionary.mapValues { $0[index] })
    }
  }

  /// Number of elements.
  public var count: Int { array.count }

  /// One element.
  open func features(at index: Int) -> any MLFeatureProvider {
    precondition(array.indices.contains(index), "index \(index) in a batch of \(array.count)")
    return array[index]
  }
}

extension MLModel {
  /// Runs the model on every element of a batch.
  public func predictions(fromBatch inputBatch: any MLBatchProvider) throws -> any MLBatchProvider {
    try predictions(from: inputBatch, options: MLPredictionOptions())
  }

  /// The same with options. As on Apple's systems, a batch does not use output backings.
  public func predictions(
    from inputBatch: any MLBatchProvider, options: MLPredictionOptions
  ) throws -> any MLBatchProvider {
    let single = MLPredictionOptions()
    single.usesCPUOnly = options.usesCPUOnly
    return MLArrayBatchProvider(
      array: try (0..<inputBatch.count).map { index in
        try prediction(from: inputBatch.features(at: index), options: single)
      })
  }
}
