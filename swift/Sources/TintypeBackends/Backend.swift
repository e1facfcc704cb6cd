@_exported import TintypeMLX

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The two engines that run a package.
public enum BackendKind: String, Sendable, Codable, CaseIterable {
  /// Core ML: Apple's, or on Linux the portable one.
  case coreml
  /// The C++ engine on MLX.
  case mlx
}

/// What a caller asks for: an engine by name (it runs or throws), or whichever suits this machine.
public enum BackendChoice: String, Sendable, Codable, CaseIterable {
  /// Core ML where it is Apple's and the model works there, else MLX; a notice says why.
  case auto
  /// Core ML or an error.
  case coreml
  /// MLX or an error.
  case mlx
}

/// What Core ML may use. The MLX engine accepts and ignores it.
public enum ComputeUnits: String, Sendable, Codable, CaseIterable {
  /// Whatever Core ML prefers.
  case all
  /// The CPU alone.
  case cpuOnly = "cpu"
  /// The CPU and the GPU.
  case cpuAndGPU = "gpu"
  /// The CPU and the Neural Engine.
  case cpuAndNeuralEngine = "ane"
}

/// An engine that opens packages.
public protocol Backend: Sendable {
  /// Which of the two engines this is; for `auto`, the one that is asked first.
  var kind: BackendKind { get }

  /// Throws `BackendError.unavailable` with the reason and the remedy when models cannot run here.
  func checkAvailability() throws

  /// Opens an `.mlpackage` and checks it.
  func load(_ package: URL, units: ComputeUnits) throws -> any LoadedModel

  /// Opens one package, or the chunks of a model that run in this order as one. With a self-test, the model must first
  /// reproduce it: a named backend throws where it does not, `auto` moves on to the other one; Core ML is asked once for
  /// each model, system, chip and compute units.
  func load(chunks: [URL], units: ComputeUnits, passing selfTest: SelfTest?) throws -> any LoadedModel
}

extension Backend {
  /// The parts, one after the other, and the test after them.
  public func load(chunks: [URL], units: ComputeUnits, passing selfTest: SelfTest?) throws -> any LoadedModel {
    let model = try loadParts(chunks, units: units)
    try selfTest?.check(model)
    return model
  }

  /// One package that must reproduce a recorded prediction.
  public func load(_ package: URL, units: ComputeUnits, passing selfTest: SelfTest) throws -> any LoadedModel {
    try load(chunks: [package], units: units, passing: selfTest)
  }

  /// Opens packages that run in this order as one model; a single one is opened as it is.
  func loadParts(_ packages: [URL], units: ComputeUnits) throws -> any LoadedModel {
    try joined(packages.map { try load($0, units: units) })
  }

  /// Parts that run in this order as one model; a single one is it.
  func joined(_ parts: [any LoadedModel]) throws -> any LoadedModel {
    guard !parts.isEmpty else {
      throw BackendError.failed(
        backend: kind, kind: .invalidArgument,
        message: "no packages were given: name one, or a model's chunks in the order in which they run")
    }
    return parts.count == 1 ? parts[0] : try ChunkedModel(parts)
  }
}

/// How one prediction runs.
public struct PredictionOptions: Sendable {
  /// nil: the default function.
  public var function: String?
  /// Told which share of the work is done, now and then, also without news; what it throws ends the prediction. Core
  /// ML asks before a prediction and between chunks, since a prediction that runs cannot be stopped there.
  public var progress: (@Sendable (Double) throws -> Void)?
  /// Made by the same model's `makeState`; needed by functions that keep something between predictions.
  public var state: (any ModelState)?
  /// Told what the prediction cost, once for each package of a model in chunks; the prediction takes longer.
  public var onStatistics: (@Sendable (PredictionStatistics) -> Void)?

  /// Options for a function; what is left out nobody asks for.
  public init(
    function: String? = nil, state: (any ModelState)? = nil,
    progress: (@Sendable (Double) throws -> Void)? = nil,
    onStatistics: (@Sendable (PredictionStatistics) -> Void)? = nil
  ) {
    self.function = function
    self.state = state
    self.onStatistics = onStatistics
    self.progress = progress
  }
}

/// What a model keeps from one prediction to the next. One prediction or access at a time may use it.
public protocol ModelState: AnyObject, Sendable {
  /// A copy of one state's values.
  func tensor(named name: String) throws -> Tensor
  /// Sets one state's values; shape and element type must be the state's.
  func set(_ name: String, to tensor: Tensor) throws
}

/// An opened package. Safe to use from several threads at once.
public protocol LoadedModel: Sendable {
  /// The engine that runs it.
  var backend: BackendKind { get }
  /// Functions with their inputs, outputs and states.
  var modelDescription: ModelDescription { get }
  /// JSON about the package: specification version, ops, metadata. nil: the backend cannot know.
  var metadataJSON: String? { get }

  /// Runs one function (nil: the default one). Inputs are matched by name and must have the described shapes and
  /// element types; the result holds every output of the description.
  func predict(_ inputs: [String: Tensor], function: String?) throws -> [String: Tensor]

  /// The same, telling how far it is, and ending where the caller wants.
  func predict(_ inputs: [String: Tensor], options: PredictionOptions) throws -> [String: Tensor]

  /// Opens one function (nil: the default one) ahead of its first use, where a package has several: Core ML may need
  /// minutes for each.
  func prepare(function: String?) throws

  /// The functions that are open, where each has memory of its own as on Core ML; empty where all share the weights.
  var openFunctions: Set<String> { get }

  /// New states of one function (nil: the default one), all zeros. Throws where the backend or the model has none.
  func makeState(function: String?) throws -> any ModelState
}

extension BackendError {
  static func noStates(_ backend: BackendKind) -> BackendError {
    .failed(
      backend: backend, kind: .invalidArgument,
      message: "a state was asked for or given, but this model keeps none; predict without")
  }
}

extension LoadedModel {
  /// Nil: most models know nothing about their package.
  public var metadataJSON: String? { nil }

  /// Nothing: most models open everything when they are loaded.
  public func prepare(function: String?) throws {}

  /// Empty: most models have their weights once.
  public var openFunctions: Set<String> { [] }

  /// How often the weights are in memory.
  package var copies: Int { max(1, openFunctions.count) }

  /// How many times more they will be when a function (nil: the default one) is open, too.
  package func copiesMore(with function: String?) -> Int {
    let name = modelDescription.function(named: function)?.name
    return openFunctions.isEmpty || name.map(openFunctions.contains) ?? true ? 0 : 1
  }

  /// Throws: most models keep nothing.
  public func makeState(function: String?) throws -> any ModelState { throw BackendError.noStates(backend) }

  /// One prediction without states, which cannot be ended before it is done.
  public func predict(_ inputs: [String: Tensor], options: PredictionOptions) throws -> [String: Tensor] {
    if options.state != nil { throw BackendError.noStates(backend) }
    try options.progress?(0)
    let outputs = try options.timed { try predict(inputs, function: options.function) }
    try options.progress?(1)
    return outputs
  }

  /// Runs the default function.
  public func predict(_ inputs: [String: Tensor]) throws -> [String: Tensor] {
    try predict(inputs, function: nil)
  }
}

/// Off the calling thread: a view model's main actor goes on. From asynchronous code these are the ones that are called.
extension LoadedModel {
  /// Runs the default function. Once the task is cancelled, the prediction ends by `CancellationError` where the backend
  /// can end one: on MLX within it, on Core ML before it and between chunks.
  public func predict(_ inputs: [String: Tensor]) async throws -> [String: Tensor] {
    try await predict(inputs, options: PredictionOptions())
  }

  /// The same for a function (nil: the default one).
  public func predict(_ inputs: [String: Tensor], function: String?) async throws -> [String: Tensor] {
    try await predict(inputs, options: PredictionOptions(function: function))
  }

  /// The same, telling how far it is.
  public func predict(_ inputs: [String: Tensor], options: PredictionOptions) async throws -> [String: Tensor] {
    try await Blocking.run { checkWanted in
      var watched = options
      watched.progress = { share in
        try checkWanted()
        try options.progress?(share)
      }
      return try predict(inputs, options: watched)
    }
  }
}

extension Backend {
  /// Opens a package off the calling thread, which on Core ML may compile for minutes; a load that has begun is finished.
  public func load(_ package: URL, units: ComputeUnits) async throws -> any LoadedModel {
    try await Blocking.run { try load(package, units: units) }
  }
}
