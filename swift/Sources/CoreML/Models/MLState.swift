import Dispatch
import TintypeMLX

/// The buffers that a stateful model keeps from one prediction to the next.
public final class MLState: @unchecked Sendable {
  /// nil: the model has no states.
  let engineState: EngineState?
  private let names: [String]
  /// Why there is none though the model has states: `makeState` cannot throw, so predictions do.
  let failure: (any Error)?

  init(of model: EngineModel, function: FunctionDescription) {
    names = function.states.map(\.name)
    if names.isEmpty {
      (engineState, failure) = (nil, nil)
      return
    }
    let made = Result { try asCoreMLErrors { try EngineState(of: model, function: function.name) } }
    engineState = try? made.get()
    failure = if case .failure(let error) = made { error } else { nil }
  }

  /// Calls `body` with the buffer of one state. Not to be used during a prediction with this state.
  public func withMultiArray<R>(for stateName: String, _ body: (MLMultiArray) throws -> R) rethrows -> R {
    guard let engineState, names.contains(stateName) else {
      preconditionFailure("the model has no state '\(stateName)'; it has \(names)")
    }
    let array: MLMultiArray?
    do {
      array = try engineState.withView(of: stateName) { view in
        guard let type = MLMultiArrayDataType(view.elementType) else { return nil }
        return try MLMultiArray(
          dataPointer: UnsafeMutableRawPointer(mutating: view.base), shape: view.shape.map { NSNumber(value: $0) },
          dataType: type, strides: view.strides.map { NSNumber(value: $0) }, deallocator: nil)
      }
    } catch {
      preconditionFailure("state '\(stateName)' is used by a prediction: \(error)")
    }
    guard let array else { preconditionFailure("state '\(stateName)' is of a type that no MLMultiArray can hold") }
    return try withExtendedLifetime(self) { try body(array) }
  }
}

extension MLModel {
  /// New state buffers, zeroed. A model without states gives an empty one, which the stateful predictions accept.
  public func makeState() -> MLState { MLState(of: engineModel, function: function) }

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
    try predict(inputFeatures, options, using: state)
  }

  /// The same without blocking the caller.
  public func prediction(
    from inputFeatures: any MLFeatureProvider, using state: MLState,
    options: MLPredictionOptions = MLPredictionOptions()
  ) async throws -> any MLFeatureProvider {
    try await detached(inputFeatures, options, using: state)
  }
}
