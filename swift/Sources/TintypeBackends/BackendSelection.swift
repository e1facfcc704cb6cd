import TintypeMLX

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The backend that a caller asks for.
///
/// A named one is strict: it runs or throws. `auto` is Core ML where Apple's exists and MLX otherwise, and moves on to
/// MLX when Core ML cannot load or run a model, gives numbers that are not finite where MLX's are, or takes longer than
/// `timeBox` to compile and load; `notice` is told so once a model, with the reason. Failures are remembered beside the
/// compiled models, by the model's content, the system's build, the chip and the compute units.
public func makeBackend(
  _ choice: BackendChoice, engineLibrary: URL? = nil, cacheFolder: URL? = nil, timeBox: Duration = .seconds(300),
  notice: @escaping @Sendable (String) -> Void = { _ in }
) -> any Backend {
  let mlx = MLXBackend(engineLibrary: engineLibrary)
  let coreml = CoreMLBackend(cacheFolder: cacheFolder)
  switch choice {
  case .coreml: return coreml
  case .mlx: return mlx
  case .auto:
    guard CoreMLPlatform.isApples else { return mlx }
    return FallbackBackend(
      first: coreml, second: mlx, notice: notice,
      verdicts: VerdictStore(folder: VerdictStore.folder(besideCache: cacheFolder)), timeBox: timeBox)
  }
}

/// Tries one backend, then another. What the second would refuse as well (missing files, wrong inputs) is not retried.
struct FallbackBackend: Backend {
  let first: any Backend
  let second: any Backend
  let notice: @Sendable (String) -> Void
  /// nil: nothing is remembered.
  var verdicts: VerdictStore?
  /// How long the first backend may take to load; nil: as long as it wants.
  var timeBox: Duration?

  var kind: BackendKind { first.kind }

  func checkAvailability() throws {
    do { try first.checkAvailability() } catch { try second.checkAvailability() }
  }

  func load(_ package: URL, units: ComputeUnits) throws -> any LoadedModel {
    if let verdict = verdicts?.verdict(on: package, units: units) {
      let model = try second.load(package, units: units)
      notice(
        "\(first.kind.rawValue) is not tried for \(package.lastPathComponent): it failed on \(verdict.date) "
          + "(\(verdict.reason)); using \(second.kind.rawValue). To try again, remove "
          + "\(verdicts?.file(of: package, units: units)?.path ?? "the verdict")")
      return model
    }
    do {
      try first.checkAvailability()
      let model = try loadFirst(package, units: units)
      return FallbackModel(backends: self, package: package, units: units, model: model)
    } catch let error where FallbackBackend.mayHelp(after: error) {
      let model = try second.load(package, units: units)
      moveOn(from: package, units: units, after: error, verb: "load")
      return model
    }
  }

  private func loadFirst(_ package: URL, units: ComputeUnits) throws -> any LoadedModel {
    guard let timeBox else { return try first.load(package, units: units) }
    let (first, verdicts) = (self.first, self.verdicts)
    let model = try TimeBox.run(timeBox) {
      try first.load(package, units: units)
    } late: { result in
      // Compiled after all: the system keeps what it made, so the next load is quick.
      if case .success = result { verdicts?.forget(package, units: units) }
    }
    guard let model else {
      throw BackendError.failed(
        backend: first.kind, kind: .runtime,
        message: "compiling and loading took longer than \(timeBox.seconds) s; it goes on in the background")
    }
    return model
  }

  /// Says once that the second backend takes over, and keeps the reason for the next time.
  func moveOn(from package: URL, units: ComputeUnits, after reason: any Error, verb: String) {
    notice(
      "\(first.kind.rawValue) could not \(verb) \(package.lastPathComponent) (\(reason)); "
        + "using \(second.kind.rawValue)")
    switch (reason as? BackendError)?.kind {
    case .unavailable, .outOfMemory: break  // True of this moment, not of the model.
    default: verdicts?.remember("\(reason)", on: package, units: units)
    }
  }

  static func mayHelp(after error: any Error) -> Bool {
    switch (error as? BackendError)?.kind {
    case .invalidArgument, .io, .cancelled: false
    case nil: !(error is CancellationError)
    case .format, .unsupported, .runtime, .outOfMemory, .unavailable: true
    }
  }
}

extension BackendChoice {
  /// Why a backend runs that nothing moved away from.
  package var reason: String {
    switch self {
    case .coreml, .mlx: "asked for"
    case .auto where CoreMLPlatform.isApples: "auto: Core ML is available"
    case .auto: "auto: Core ML exists on Apple's systems only; the portable one is for tests"
    }
  }
}
