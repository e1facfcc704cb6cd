import TintypeMLX

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What a backend is made with, apart from which one it is.
public struct BackendSettings: Sendable {
  /// The MLX engine's file; nil: where `EngineSearch` finds it.
  public var engineLibrary: URL?
  /// Where Core ML's compiled models and what `auto` remembers are kept; nil: the system's cache folder.
  public var cacheFolder: URL?
  /// How long Core ML may compile and load a model before `auto` moves on to MLX, where that is available; nil: as long
  /// as it takes.
  public var timeBox: Duration?
  /// Told what happens while models are loaded and run, on any thread.
  public var notice: @Sendable (BackendNotice) -> Void

  /// Settings that are left out are the system's own.
  public init(
    engineLibrary: URL? = nil, cacheFolder: URL? = nil, timeBox: Duration? = .seconds(300),
    notice: @escaping @Sendable (BackendNotice) -> Void = { _ in }
  ) {
    self.engineLibrary = engineLibrary
    self.cacheFolder = cacheFolder
    self.timeBox = timeBox
    self.notice = notice
  }
}

/// What a backend tells while it loads and runs models.
public enum BackendNotice: Sendable, Equatable {
  /// Core ML begins to compile a package, of which nothing is kept yet: minutes for a large one.
  case compiling(package: URL)
  /// `auto` moves on to MLX, or does not ask Core ML at all; the reason in words, once a model.
  case movedOn(reason: String)
}

extension BackendChoice {
  /// The backend of this choice.
  ///
  /// A named one is strict: it runs or throws. `auto` is Core ML where Apple's exists and MLX otherwise, and moves on to
  /// MLX when Core ML cannot load or run a model, gives numbers that are not finite where MLX's are, or takes longer than
  /// `timeBox` to compile and load. Where MLX cannot take over, as in an app without the engine, Core ML is waited for and
  /// its error is the one that is thrown. Failures are remembered beside the compiled models, by the model's content, the
  /// system's build, the chip and the compute units.
  public func makeBackend(settings: BackendSettings = BackendSettings()) -> any Backend {
    let mlx = MLXBackend(engineLibrary: settings.engineLibrary)
    let notice = settings.notice
    let coreml = CoreMLBackend(cacheFolder: settings.cacheFolder) { notice(.compiling(package: $0)) }
    switch self {
    case .coreml: return coreml
    case .mlx: return mlx
    case .auto:
      guard CoreMLPlatform.isApples else { return mlx }
      return FallbackBackend(
        first: coreml, second: mlx, notice: { notice(.movedOn(reason: $0)) },
        verdicts: VerdictStore(folder: VerdictStore.folder(besideCache: settings.cacheFolder)),
        timeBox: settings.timeBox)
    }
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
    do {
      try first.checkAvailability()
    } catch {
      do { try second.checkAvailability() } catch let other { throw unable(error, other) }
    }
  }

  func load(_ package: URL, units: ComputeUnits) throws -> any LoadedModel {
    // A verdict counts only where there is another backend to turn to.
    if let verdict = verdicts?.verdict(on: package, units: units), let model = try? second.load(package, units: units) {
      notice(AutoReason.remembered(package, verdict, file: verdicts?.file(of: package, units: units)))
      return model
    }
    do {
      try first.checkAvailability()
      return try loadInTime(package, units: units)
    } catch let error where FallbackBackend.mayHelp(after: error) {
      let model = try loadSecond(package, units: units, after: error)
      moveOn(from: package, units: units, after: error)
      return model
    }
  }

  /// The first backend's model, or the second's where the first takes too long and the second can take over.
  private func loadInTime(_ package: URL, units: ComputeUnits) throws -> any LoadedModel {
    let first = self.first
    @Sendable func movable(_ model: any LoadedModel) -> FallbackModel {
      FallbackModel(backends: self, package: package, units: units, model: model)
    }
    return try inTime(package, units: units) {
      movable(try first.load(package, units: units))
    } orElse: { slow in
      let other = try second.load(package, units: units)
      moveOn(from: package, units: units, after: slow)
      return other
    }
  }

  /// What `load` gives, or `orElse` where the first backend takes too long and the second can take over.
  func inTime(
    _ package: URL, units: ComputeUnits, _ load: @escaping @Sendable () throws -> any LoadedModel,
    orElse takeOver: (BackendError) throws -> any LoadedModel
  ) throws -> any LoadedModel {
    guard let timeBox else { return try load() }
    let loading = TimeBox(load)
    if let model = try loading.value(within: timeBox) { return model }
    let slow = BackendError.failed(
      backend: first.kind, kind: .runtime,
      message: "compiling and loading took longer than \(timeBox.seconds) s; it goes on in the background")
    guard let other = try? takeOver(slow) else { return try loading.value() }
    loading.leave { [verdicts] result in
      // Compiled after all: the system keeps what it made, so the next load is quick.
      if case .success = result { verdicts?.forget(package, units: units) }
    }
    return other
  }

  /// The second backend's model; where it has none either, the first one's error says more.
  func loadSecond(_ package: URL, units: ComputeUnits, after reason: any Error) throws -> any LoadedModel {
    do { return try second.load(package, units: units) } catch { throw unable(reason, error) }
  }

  /// The first backend's error, with a word on why the second does not take over.
  private func unable(_ reason: any Error, _ other: any Error) -> BackendError {
    var why = "\(other)"
    if case .unavailable(_, let reason, _)? = other as? BackendError { why = reason }
    return .failed(
      backend: first.kind, kind: (reason as? BackendError)?.kind ?? .runtime,
      message: "\(reason) (\(second.kind.rawValue) cannot take over: \(why))")
  }

  /// Says once that the second backend takes over, and keeps the reason for the next time.
  ///
  /// - Parameter text: nil: that the first one could not run the package.
  func moveOn(from package: URL, units: ComputeUnits, after reason: any Error, saying text: String? = nil) {
    notice(text ?? AutoReason.failed(package, reason))
    remember(reason, on: package, units: units)
  }

  func remember(_ reason: any Error, on package: URL, units: ComputeUnits) {
    if !Self.mayPass(reason) { verdicts?.remember("\(reason)", on: package, units: units) }
  }

  /// Whether a failure is true of this moment, not of the model.
  static func mayPass(_ reason: any Error) -> Bool {
    switch (reason as? BackendError)?.kind {
    case .unavailable, .outOfMemory: true
    default: false
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
    case .auto: CoreMLPlatform.isApples ? AutoReason.available : AutoReason.noCoreML
    }
  }
}
