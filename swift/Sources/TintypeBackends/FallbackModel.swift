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
  /// Held while the second backend loads, so that it does once. `current` is free meanwhile: whoever only asks which
  /// backend runs must not wait for seconds.
  private let moving = Locked(())

  private struct Current {
    var model: any LoadedModel
    /// The second backend gave numbers that are not finite either, or cannot run the model: no other is asked again.
    var mayBeInfinite = false
    /// The functions that were opened; nil stands for the default one.
    var opened: Set<String?> = []
  }

  init(backends: FallbackBackend, package: URL, units: ComputeUnits, model: any LoadedModel) {
    self.backends = backends
    self.package = package
    self.units = units
    current = Locked(Current(model: model))
  }

  private var model: any LoadedModel { current.withLock { $0.model } }
  var backend: BackendKind { model.backend }
  var modelDescription: ModelDescription { model.modelDescription }
  var metadataJSON: String? { model.metadataJSON }
  var openFunctions: Set<String> { model.openFunctions }

  /// Within the time box, as the first backend's loading is.
  func prepare(function: String?) throws {
    let (model, isOpen) = current.withLock { ($0.model, $0.opened.contains(function)) }
    guard isFirst(model) else { return try model.prepare(function: function) }
    if isOpen { return }
    do {
      _ = try backends.inTime(package, units: units) {
        try model.prepare(function: function)
        return model
      } orElse: { slow in
        try replacement(after: slow)
      }
    } catch let error where FallbackBackend.mayHelp(after: error) {
      try replacement(after: error).prepare(function: function)
    }
    current.withLock { _ = $0.opened.insert(function) }
  }

  func predict(_ inputs: [String: Tensor], function: String?) throws -> [String: Tensor] {
    try predict(inputs, options: PredictionOptions(function: function))
  }

  func predict(_ inputs: [String: Tensor], options: PredictionOptions) throws -> [String: Tensor] {
    if options.state == nil { try prepare(function: options.function) }
    let (model, mayBeInfinite) = current.withLock { ($0.model, $0.mayBeInfinite) }
    let caller = Caller(options.progress)
    var options = options
    options.progress = caller.progress
    do {
      let outputs = try model.predict(inputs, options: options)
      // A state is one backend's: a model in the middle of its states cannot move.
      guard isFirst(model), options.state == nil, !mayBeInfinite, let error = outputs.firstNonFinite(model.backend)
      else { return outputs }
      return try verified(outputs, error, inputs, options, caller)
    } catch {
      if let wish = caller.wish { throw wish }
      guard isFirst(model), options.state == nil, FallbackBackend.mayHelp(after: error) else { throw error }
      return try replacement(after: error).predict(inputs, options: options)
    }
  }

  func makeState(function: String?) throws -> any ModelState {
    try prepare(function: function)
    return try model.makeState(function: function)
  }

  private func isFirst(_ model: any LoadedModel) -> Bool { model.backend == backends.first.kind }

  /// Outputs with NaN or infinity: the second backend says whether the model or the first backend is to blame.
  private func verified(
    _ outputs: [String: Tensor], _ error: BackendError, _ inputs: [String: Tensor], _ options: PredictionOptions,
    _ caller: Caller
  ) throws -> [String: Tensor] {
    // It has told that all is done; from here on it is only asked whether the outputs are still wanted.
    let progress = options.progress.map { tell in { @Sendable (_: Double) in try tell(1) } }
    let options = PredictionOptions(function: options.function, progress: progress)
    let (others, didMove) = try moving.withLock { _ in
      let (model, mayBeInfinite) = current.withLock { ($0.model, $0.mayBeInfinite) }
      if mayBeInfinite { return (outputs, false) }
      // Another thread may have moved on already.
      if !isFirst(model) { return (try model.predict(inputs, options: options), false) }
      do {
        let other = try backends.second.load(package, units: units)
        let others = try other.predict(inputs, options: options)
        let isBetter = others.firstNonFinite(other.backend) == nil
        current.withLock { if isBetter { $0.model = other } else { $0.mayBeInfinite = true } }
        return (isBetter ? others : outputs, isBetter)
      } catch let failure where caller.wish == nil && FallbackBackend.mayHelp(after: failure) {
        if !FallbackBackend.mayPass(failure) { current.withLock { $0.mayBeInfinite = true } }
        return (outputs, false)
      }
    }
    if didMove { backends.moveOn(from: package, units: units, after: error, saying: AutoReason.notFinite(package)) }
    return others
  }

  /// The second backend takes over, if it has not; whoever asks says why. Gives whether it has now.
  func moveOn(after reason: any Error) throws -> Bool {
    let (_, didMove) = try moved(after: reason)
    if didMove { backends.remember(reason, on: package, units: units) }
    return didMove
  }

  private func replacement(after reason: any Error) throws -> any LoadedModel {
    let (model, didMove) = try moved(after: reason)
    if didMove { backends.moveOn(from: package, units: units, after: reason) }
    return model
  }

  private func moved(after reason: any Error) throws -> (model: any LoadedModel, didMove: Bool) {
    try moving.withLock { _ in
      let model = self.model
      // Another thread may have moved on already.
      if !isFirst(model) { return (model, false) }
      let other = try backends.loadSecond(package, units: units, after: reason)
      current.withLock { $0.model = other }
      return (other, true)
    }
  }
}

/// Keeps what the caller's own function throws, which is his wish and no failure of a backend.
private final class Caller: Sendable {
  private let tell: (@Sendable (Double) throws -> Void)?
  private let thrown = Locked<(any Error)?>(nil)

  init(_ tell: (@Sendable (Double) throws -> Void)?) { self.tell = tell }

  var wish: (any Error)? { thrown.withLock { $0 } }

  var progress: (@Sendable (Double) throws -> Void)? {
    guard let tell else { return nil }
    return { share in
      do { try tell(share) } catch {
        self.thrown.withLock { $0 = error }
        throw error
      }
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
