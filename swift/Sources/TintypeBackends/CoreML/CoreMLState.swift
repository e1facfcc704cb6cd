import CoreML
import TintypeMLX

/// A model's `MLState`, used by one prediction or access at a time.
final class CoreMLState: ModelState, @unchecked Sendable {
  private let features: [FeatureDescription]
  /// An `MLState`: a stored property cannot have its availability.
  private let state: Any
  private let isUsed = Locked(false)

  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  init(_ state: MLState, _ features: [FeatureDescription]) {
    self.state = state
    self.features = features
  }

  /// Calls `body` with the state; throws where somebody else uses it.
  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  func exclusively<Result>(_ body: (MLState) throws -> Result) throws -> Result {
    guard let state = state as? MLState,
      isUsed.withLock({ used in
        used
          ? false
          : {
            used = true; return true
          }()
      })
    else {
      throw BackendError.failed(
        backend: .coreml, kind: .invalidArgument,
        message: "the state is in use by another prediction: make one for each sequence of predictions")
    }
    defer { isUsed.withLock { $0 = false } }
    return try body(state)
  }

  func tensor(named name: String) throws -> Tensor {
    try withArray(name) { try Tensor(copying: $0) }
  }

  func set(_ name: String, to tensor: Tensor) throws {
    try withArray(name) { array in
      guard let type = ElementType(coreMLRawValue: array.dataType.rawValue) else { throw unknown(name) }
      try tensor.checkFits(state: name, shape: array.shape.map(\.intValue), elementType: type, backend: .coreml)
      array.withUnsafeMutableBytes { bytes, strides in
        if let base = bytes.baseAddress { tensor.view.copyElements(to: base, strides: strides) }
      }
    }
  }

  private func withArray<Result>(_ name: String, _ body: (MLMultiArray) throws -> Result) throws -> Result {
    guard #available(macOS 15, iOS 18, tvOS 18, visionOS 2, *),
      features.contains(where: { $0.name == name })
    else { throw unknown(name) }
    return try exclusively { state in try withAutoreleasePool { try state.withMultiArray(for: name, body) } }
  }

  private func unknown(_ name: String) -> BackendError {
    .failed(
      backend: .coreml, kind: .invalidArgument,
      message: "the model has no state \"\(name)\"; it has \(features.map { "\"\($0.name)\"" }.joined(separator: ", "))"
    )
  }
}
