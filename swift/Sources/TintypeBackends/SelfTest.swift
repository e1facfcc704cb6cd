import TintypeMLX

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// One recorded prediction, which a system's kernels must reproduce before a model is trusted: releases of systems
/// have computed wrong numbers without any error.
public struct SelfTest: Sendable {
  /// Every input of the recorded prediction, by name.
  public let inputs: [String: Tensor]
  /// The outputs that it gave, by name; outputs that are left out are not compared.
  public let expected: [String: Tensor]
  /// How far an element may be off, relative to the largest magnitude that its output should have.
  public let tolerance: Float
  /// nil: the default function.
  public let function: String?

  /// A recorded prediction.
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
  /// Each chunk falls back by itself; a failed self-test moves all of them, since it does not say which one is wrong.
  func load(chunks: [URL], units: ComputeUnits, passing selfTest: SelfTest?) throws -> any LoadedModel {
    let parts = try chunks.map { try load($0, units: units) }
    let model = try joined(parts)
    let movable = parts.compactMap { $0 as? FallbackModel }
    guard let selfTest, !movable.isEmpty else { return model }
    /// The chunks that the first backend runs: a pass says nothing of the others.
    func onFirst() -> [URL] { zip(chunks, parts).filter { $1.backend == kind }.map(\.0) }
    if let verdicts, verdicts.havePassed(onFirst(), units: units) { return model }
    do {
      try selfTest.check(model)
      // Without those that failed in the test and moved on.
      verdicts?.rememberPass(onFirst(), units: units)
    } catch let error where FallbackBackend.mayHelp(after: error) {
      let moved = try movable.map { try $0.moveOn(after: error) }
      if moved.contains(true) { notice(AutoReason.selfTest(chunks, error)) }
      // Wrong there as well: then it is the model, and no picture of it would be right.
      try selfTest.check(model)
    }
    return model
  }
}

extension CoreMLBackend {
  /// Runs the self-test at the first use on this system, and throws where it fails.
  public func load(chunks: [URL], units: ComputeUnits, passing selfTest: SelfTest?) throws -> any LoadedModel {
    let model = try loadParts(chunks, units: units)
    guard let selfTest, !verdicts.havePassed(chunks, units: units) else { return model }
    try selfTest.check(model)
    verdicts.rememberPass(chunks, units: units)
    return model
  }
}
