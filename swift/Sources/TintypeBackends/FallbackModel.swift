import TintypeMLX

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A model that moves to the second backend at the first prediction that fails, and stays there.
final class FallbackModel: LoadedModel {
  private let backends: FallbackBackend
  private let package: URL
  private let units: ComputeUnits
  private let current: Locked<Current>

  private struct Current {
    var model: any LoadedModel
    /// The second backend gave numbers that are not finite either: it is the model, not the backend.
    var mayBeInfinite = false
  }

  init(backends: FallbackBackend, package: URL, units: ComputeUnits, model: any LoadedModel) {
    self.backends = backends
    self.package = package
    self.units = units
    current = Locked(Current(model: model))
  }

  private var model: any LoadedModel { current.withLock { $0.model } }
  var backend: BackendKind { model.backend }
  var description: ModelDescription { model.description }
  var metadataJSON: String? { model.metadataJSON }

  func predict(_ inputs: [String: Tensor], function: String?) throws -> [String: Tensor] {
    try predict(inputs, options: PredictionOptions(function: function))
  }

  func predict(_ inputs: [String: Tensor], options: PredictionOptions) throws -> [String: Tensor] {
    let (model, mayBeInfinite) = current.withLock { ($0.model, $0.mayBeInfinite) }
    do {
      let outputs = try model.predict(inputs, options: options)
      // A state is one backend's: a model in the middle of its states cannot move.
      guard model.backend == backends.first.kind, options.state == nil, !mayBeInfinite,
        let error = outputs.firstNonFinite(backend)
      else {
        return outputs
      }
      return try verified(outputs, error, inputs, options)
    } catch let error
      where model.backend == backends.first.kind && options.state == nil && FallbackBackend.mayHelp(after: error)
    {
      let other = try replacement(after: error)
      return try other.predict(inputs, options: options)
    }
  }

  func makeState(function: String?) throws -> any ModelState { try model.makeState(function: function) }

  /// Outputs with NaN or infinity: the second backend says whether the model or the first backend is to blame.
  private func verified(
    _ outputs: [String: Tensor], _ error: BackendError, _ inputs: [String: Tensor], _ options: PredictionOptions
  ) throws -> [String: Tensor] {
    guard let other = try? backends.second.load(package, units: units),
      let others = try? other.predict(inputs, function: options.function), others.firstNonFinite(other.backend) == nil
    else {
      current.withLock { $0.mayBeInfinite = true }
      return outputs
    }
    current.withLock { current in
      if current.model.backend != backends.first.kind { return }
      current.model = other
      backends.moveOn(from: package, units: units, after: error, verb: "run")
    }
    return others
  }

  /// The second backend takes over, if it has not.
  func moveOn(after reason: any Error) throws { _ = try replacement(after: reason) }

  private func replacement(after reason: any Error) throws -> any LoadedModel {
    try current.withLock { current in
      // Another thread may have moved on already.
      if current.model.backend != backends.first.kind { return current.model }
      current.model = try backends.loadSecond(package, units: units, after: reason)
      backends.moveOn(from: package, units: units, after: reason, verb: "run")
      return current.model
    }
  }
}

extension [String: Tensor] {
  /// An error about the first output, by name, that holds NaN or infinity; nil where all are finite.
  public func firstNonFinite(_ backend: BackendKind) -> BackendError? {
    guard let name = keys.sorted().first(where: { self[$0]?.isFinite == false }) else { return nil }
    return BackendError.failed(
      backend: backend, kind: .runtime, message: "output \"\(name)\" holds NaN or infinity on \(backend.rawValue)")
  }
}
