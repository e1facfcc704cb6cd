import CoreVideo
import Dispatch
import TintypeImages
import TintypeMLX

extension MLModel {
  /// Runs the model.
  public func prediction(from input: any MLFeatureProvider) throws -> any MLFeatureProvider {
    try prediction(from: input, options: MLPredictionOptions())
  }

  /// Runs the model without blocking the caller. A task that is cancelled before the model runs throws
  /// `MLModelError.predictionCancelled`.
  public func prediction(
    from input: any MLFeatureProvider, options: MLPredictionOptions = MLPredictionOptions()
  ) async throws -> any MLFeatureProvider {
    try await detached(input, options, using: nil)
  }

  /// A prediction on another thread. Cancelling the task ends it.
  func detached(
    _ input: any MLFeatureProvider, _ options: MLPredictionOptions, using state: MLState?
  ) async throws -> any MLFeatureProvider {
    let isCancelled = Locked(Task.isCancelled)
    // The caller waits, so nothing else uses these while the other thread does.
    nonisolated(unsafe) let (input, options) = (input, options)
    nonisolated(unsafe) var result: (any MLFeatureProvider)?
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        DispatchQueue.global().async {
          continuation.resume(
            with: Result {
              result = try self.predict(input, options, using: state) {
                if isCancelled.withLock({ $0 }) {
                  throw MLModelError(.predictionCancelled, status: .cancelled, "The prediction was cancelled.")
                }
              }
            })
        }
      }
    } onCancel: {
      isCancelled.withLock { $0 = true }
    }
    guard let result else { throw MLModelError(.generic, status: .runtime, "The prediction gave no result.") }
    return result
  }

  /// Runs the model with options.
  public func prediction(
    from input: any MLFeatureProvider, options: MLPredictionOptions
  ) throws -> any MLFeatureProvider {
    try predict(input, options, using: nil)
  }

  /// - Parameter mayGoOn: called now and then; what it throws ends the prediction.
  func predict(
    _ input: any MLFeatureProvider, _ options: MLPredictionOptions, using state: MLState?,
    mayGoOn: (() throws -> Void)? = nil
  ) throws -> any MLFeatureProvider {
    if let failure = state?.failure { throw failure }
    if !function.states.isEmpty, state?.engineState == nil {
      throw invalid("The model keeps states: predict with one that its makeState() gave.")
    }
    try mayGoOn?()
    // Converted inputs must live until the engine has read them.
    var owners: [Any] = []
    var inputs: [(name: String, view: TensorView)] = []
    for feature in function.inputs {
      guard let value = input.featureValue(for: feature.name), !value.isUndefined else {
        if feature.isOptional { continue }
        throw invalid("Feature \(feature.name) is required but not specified.")
      }
      if let constraint = modelDescription.inputDescriptionsByName[feature.name]?.imageConstraint {
        let picture = try pixels(of: value, feature.name, constraint)
        owners.append(picture)
        inputs.append((feature.name, picture.view))
        continue
      }
      guard let array = value.multiArrayValue else {
        throw invalid("Feature \(feature.name) must be a multi-array, got a value of type \(value.type).")
      }
      try check(array, against: feature)
      owners.append(array)
      if array.dataType.elementType == feature.elementType {
        inputs.append((feature.name, array.view))
      } else {
        // As Apple's does, numbers of another type are converted.
        let converted = try Tensor(copying: array.view).converted(to: feature.elementType)
        owners.append(converted)
        inputs.append((feature.name, converted.view))
      }
    }
    let backings = try self.backings(options)
    let outputs = try withExtendedLifetime(owners) {
      try asCoreMLErrors {
        try engineModel.predict(
          inputs,
          EnginePrediction(
            function: function.name, state: state?.engineState,
            progress: mayGoOn.map { mayGoOn in { _ in try mayGoOn() } }))
      }
    }
    var features: [String: Any] = [:]
    for (name, tensor) in outputs {
      features[name] = try value(of: tensor, name, backing: backings[name])
    }
    return try MLDictionaryFeatureProvider(dictionary: features)
  }

  private func pixels(
    of value: MLFeatureValue, _ name: String, _ constraint: MLImageConstraint
  ) throws -> Tensor {
    guard let buffer = value.imageBufferValue else {
      throw invalid("Feature \(name) must be an image, got a value of type \(value.type).")
    }
    do {
      try constraint.check(buffer)
    } catch {
      throw MLModelError(
        .featureType, status: .invalidArgument, "Input image feature \(name) does not match model description",
        reason: error.reason)
    }
    return try Tensor(pixelsOf: buffer, constraint.image.colorLayout)
  }

  private func value(of tensor: Tensor, _ name: String, backing: OutputBacking?) throws -> MLFeatureValue {
    if let value = try classifier?.value(of: tensor, named: name) { return value }
    if let constraint = modelDescription.outputDescriptionsByName[name]?.imageConstraint {
      return MLFeatureValue(
        pixelBuffer: try backing?.picture(tensor, constraint) ?? tensor.pixelBuffer(constraint.image.colorLayout))
    }
    guard let dataType = MLMultiArrayDataType(tensor.elementType) else {
      throw MLModelError(
        .generic, status: .unsupported, "an output is \(tensor.elementType.rawValue), which no MLMultiArray can hold")
    }
    return MLFeatureValue(multiArray: try backing?.array(tensor) ?? MLMultiArray(tensor, dataType: dataType))
  }

  private func check(_ array: MLMultiArray, against feature: FeatureDescription) throws {
    if modelDescription.inputDescriptionsByName[feature.name]?.accepts(shape: array.extents) ?? true { return }
    let expected = feature.shape ?? []
    if expected.count != array.extents.count {
      throw invalid(
        "According to model description, feature '\(feature.name)' must be of rank \(expected.count), "
          + "instead got a multi-array value of rank \(array.extents.count).")
    }
    func text(_ shape: [Int]) -> String { shape.map { $0 < 0 ? "?" : "\($0)" }.joined(separator: " × ") }
    throw invalid(
      "For input feature '\(feature.name)', the provided shape (\(text(array.extents))) is not compatible with the "
        + "model's feature description (\(text(expected))).")
  }

  private func invalid(_ text: String) -> MLModelError {
    MLModelError(.featureType, status: .invalidArgument, text)
  }
}
