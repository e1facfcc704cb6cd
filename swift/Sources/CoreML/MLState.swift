/// The buffers that a stateful model keeps from one prediction to the next.
public final class MLState: @unchecked Sendable {
  private let buffers: [String: MLMultiArray]

  init(buffers: [String: MLMultiArray]) { self.buffers = buffers }

  /// Calls `body` with the buffer of one state. Not to be used during a prediction with this state.
  public func withMultiArray<R>(for stateName: String, _ body: (MLMultiArray) throws -> R) rethrows -> R {
    guard let buffer = buffers[stateName] else {
      preconditionFailure("the model has no state '\(stateName)'; it has \(buffers.keys.sorted())")
    }
    return try body(buffer)
  }

  var isEmpty: Bool { buffers.isEmpty }
}

extension MLModel {
  /// New state buffers, zeroed. A model without states gives an empty one, which the stateful predictions accept.
  public func makeState() -> MLState {
    MLState(
      buffers: modelDescription.stateDescriptionsByName.compactMapValues { description in
        description.stateConstraint.map { MLMultiArray(zeros: $0.bufferShape, dataType: $0.dataType) }
      })
  }

  /// Runs the model with its states.
  public func prediction(from inputFeatures: any MLFeatureProvider, using state: MLState) throws
    -> any MLFeatureProvider
  {
    try prediction(from: inputFeatures, using: state, options: MLPredictionOptions())
  }

  /// Runs the model with its states and options.
  public func prediction(
    from inputFeatures: any MLFeatureProvider, using state: MLState, options: MLPredictionOptions
  ) throws -> any MLFeatureProvider {
    guard state.isEmpty, modelDescription.stateDescriptionsByName.isEmpty else { throw statesUnsupported() }
    return try prediction(from: inputFeatures, options: options)
  }

  /// The same without blocking the caller.
  public func prediction(
    from inputFeatures: any MLFeatureProvider, using state: MLState,
    options: MLPredictionOptions = MLPredictionOptions()
  ) async throws -> any MLFeatureProvider {
    guard state.isEmpty, modelDescription.stateDescriptionsByName.isEmpty else { throw statesUnsupported() }
    return try await prediction(from: inputFeatures, options: options)
  }

  func statesUnsupported() -> MLModelError {
    MLModelError(
      .generic, status: .unsupported,
      "the model keeps states, which this implementation of Core ML does not run; use a model without states here")
  }
}
