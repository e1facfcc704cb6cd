import TintypeMLX

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// One recorded prediction, which a system's kernels must reproduce before a model is trusted: releases of systems
/// have computed wrong numbers without any error.
public struct SelfTest: Sendable {
  public let inputs: [String: Tensor]
  public let expected: [String: Tensor]
  /// How far an element may be off, relative to the largest magnitude that its output should have.
  public let tolerance: Float
  /// nil: the default function.
  public let function: String?

  public init(inputs: [String: Tensor], expected: [String: Tensor], tolerance: Float, function: String? = nil) {
    self.inputs = inputs
    self.expected = expected
    self.tolerance = tolerance
    self.function = function
  }

  /// Throws `BackendError.failed` where the model gives other numbers.
  public func check(_ model: any LoadedModel) throws {
    let outputs = try model.predict(inputs, function: function)
    for (name, tensor) in expected.sorted(by: { $0.key < $1.key }) {
      guard let output = outputs[name], output.shape == tensor.shape else {
        throw BackendError.failed(
          backend: model.backend, kind: .runtime,
          message: "the self-test expects output \"\(name)\" of shape \(tensor.shape), the model gives "
            + (outputs[name].map { "shape \($0.shape)" } ?? "none of that name"))
      }
      let (actual, wanted) = (output.floats(), tensor.floats())
      let scale = wanted.reduce(0) { max($0, abs($1)) }
      // NaN is no less than anything, hence not `max`.
      var error: Float = 0
      for (left, right) in zip(actual, wanted) where !(abs(left - right) <= error) { error = abs(left - right) }
      guard error <= tolerance * scale else {
        throw BackendError.failed(
          backend: model.backend, kind: .runtime,
          message: "output \"\(name)\" differs by \(error) from what was recorded, at most \(tolerance * scale) is "
            + "allowed: this system's kernels compute the model wrongly on \(model.backend.rawValue)")
      }
    }
  }
}

extension FallbackBackend {
  func load(_ package: URL, units: ComputeUnits, passing selfTest: SelfTest) throws -> any LoadedModel {
    let model = try load(package, units: units)
    guard let model = model as? FallbackModel else { return model }
    if verdicts?.hasPassed(package, units: units) == true { return model }
    if try model.moves(after: selfTest) == false { verdicts?.rememberPass(package, units: units) }
    return model
  }
}
