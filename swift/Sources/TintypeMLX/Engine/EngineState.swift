import CTintype

/// What a model keeps from one prediction to the next; freed with the last reference. A prediction that uses it
/// excludes every other use, which the engine refuses.
public final class EngineState: @unchecked Sendable {
  private let library: EngineLibrary
  let handle: OpaquePointer

  /// States of one function (nil: the default one), all zeros. Throws `EngineError`.
  public init(of model: EngineModel, function: String? = nil) throws {
    let library = model.library
    var handle: OpaquePointer?
    try library.check { library.api.state_new(model.handle, function, &handle, $0) }
    guard let handle else { throw EngineError.failure(.runtime, "the engine made a state but gave none") }
    (self.library, self.handle) = (library, handle)
  }

  deinit { library.api.state_free(handle) }

  /// Calls `body` with one state's memory, which may be written through its `base`; not valid after the call.
  public func withView<R>(of name: String, _ body: (TensorView) throws -> R) throws -> R {
    var descriptor = tt_tensor()
    try library.check { library.api.state_tensor(handle, name, &descriptor, $0) }
    guard let type = ElementType(abiValue: descriptor.dtype), let data = descriptor.data,
      (0...Int32(TT_MAX_RANK)).contains(descriptor.rank)
    else {
      throw EngineError.failure(
        .runtime, "state \"\(name)\" has dtype \(descriptor.dtype) and rank \(descriptor.rank), which are unknown")
    }
    return try withExtendedLifetime(self) {
      try body(
        TensorView(
          base: data, elementType: type, shape: [Int](descriptor.shape, rank: descriptor.rank),
          strides: [Int](descriptor.strides, rank: descriptor.rank)))
    }
  }
}

/// How the engine runs one prediction.
public struct EnginePrediction {
  /// nil: the default function.
  public var function: String?
  /// Needed by functions with states.
  public var state: EngineState?
  /// Told the share that is done, about every 50 ms; what it throws ends the prediction and is thrown by it.
  public var progress: ((Double) throws -> Void)?
  /// Told the engine's JSON about a prediction that went well: seconds, time and bytes of each kind of op, peaks of
  /// memory. The prediction takes longer.
  public var statistics: ((String) -> Void)?

  /// A prediction of a function; what is left out nobody asks for.
  public init(
    function: String? = nil, state: EngineState? = nil, progress: ((Double) throws -> Void)? = nil,
    statistics: ((String) -> Void)? = nil
  ) {
    self.function = function
    self.state = state
    self.progress = progress
    self.statistics = statistics
  }

  /// Calls `body` with the same in C, and throws what `progress` threw instead of the engine's "cancelled".
  func withOptions<R>(_ body: (UnsafePointer<tt_predict_options>) throws -> R) throws -> R {
    var options = tt_predict_options()
    options.size = MemoryLayout<tt_predict_options>.size
    options.state = state?.handle
    options.collect_statistics = statistics == nil ? 0 : 1
    let listener = progress.map(ProgressListener.init)
    if let listener {
      options.progress = { context, share in
        guard let context else { return 0 }
        return Unmanaged<ProgressListener>.fromOpaque(context).takeUnretainedValue().hear(share) ? 0 : 1
      }
      options.progress_context = Unmanaged.passUnretained(listener).toOpaque()
    }
    return try withExtendedLifetime((state, listener)) {
      do {
        guard let function else { return try body(&options) }
        return try function.withCString { name in
          options.function = name
          return try body(&options)
        }
      } catch {
        throw listener?.error ?? error
      }
    }
  }
}

/// Keeps what the caller's closure throws, since C cannot. The engine calls it on the predicting thread.
private final class ProgressListener {
  private let tell: (Double) throws -> Void
  private(set) var error: (any Error)?

  init(_ tell: @escaping (Double) throws -> Void) { self.tell = tell }

  /// Whether the prediction shall go on.
  func hear(_ share: Double) -> Bool {
    do {
      try tell(share)
      return true
    } catch {
      self.error = error
      return false
    }
  }
}
