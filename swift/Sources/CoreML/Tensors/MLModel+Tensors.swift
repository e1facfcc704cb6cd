import TintypeMLX

extension MLModel {
  /// Runs the model on tensors, without blocking the caller.
  public func prediction(from inputs: [String: MLTensor]) async throws -> [String: MLTensor] {
    try tensors(of: await prediction(from: features(inputs), options: MLPredictionOptions()))
  }

  /// The same with the model's states.
  public func prediction(from inputs: [String: MLTensor], using state: MLState) async throws -> [String: MLTensor] {
    try tensors(of: await prediction(from: features(inputs), using: state, options: MLPredictionOptions()))
  }

  /// Integers and truth values that multi-arrays do not have become int32.
  private func features(_ inputs: [String: MLTensor]) throws -> MLDictionaryFeatureProvider {
    try MLDictionaryFeatureProvider(
      dictionary: inputs.mapValues { tensor in
        let type = MLMultiArrayDataType(tensor.tensor.elementType) ?? .int32
        return MLMultiArray(tensor.cast(to: type.elementType).tensor, dataType: type)
      })
  }

  private func tensors(of outputs: any MLFeatureProvider) throws -> [String: MLTensor] {
    try outputs.featureNames.sorted().reduce(into: [:]) { tensors, name in
      guard let value = outputs.featureValue(for: name) else { return }
      guard let array = value.multiArrayValue else {
        throw MLModelError(
          .featureType, status: .invalidArgument,
          "Output \(name) is of type \(value.type), which no MLTensor can hold: predict with an MLFeatureProvider.")
      }
      let copy = try Tensor(copying: array.view)
      tensors[name] = MLTensor(array.dataType == .double ? try copy.converted(to: .float32) : copy)
    }
  }
}
