import CTintype

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A package that the engine has opened; closed when the last reference is gone.
///
/// The engine allows calls from several threads at once, and everything here is set at load, hence `@unchecked`.
public final class EngineModel: @unchecked Sendable {
  /// Functions with their inputs, outputs and states, as the engine tells them.
  public let modelDescription: ModelDescription
  let library: EngineLibrary
  let handle: OpaquePointer

  /// Opens and checks an `.mlpackage`. Throws `EngineError`.
  ///
  /// - Parameter library: nil: the engine that `EngineSearch` finds.
  public init(path: String, library: EngineLibrary? = nil) throws {
    let library = try library ?? EngineLibrary.open()
    var handle: OpaquePointer?
    try library.check { library.api.model_load(path, nil, &handle, $0) }
    guard let handle else {
      throw EngineError.failure(.runtime, "the engine opened \(path) but gave no model")
    }
    do {
      modelDescription = try EngineModel.describe(handle, library)
    } catch {
      library.api.model_free(handle)
      throw error
    }
    self.handle = handle
    self.library = library
  }

  deinit { library.api.model_free(handle) }

  /// JSON about the model: specification version, ops of each function, parameters, weight bytes, metadata.
  public var metadataJSON: String? { library.takeString(library.api.model_metadata(handle)) }

  /// Runs one function (nil: the default one); the result holds every output. Throws `EngineError`.
  public func predict(_ inputs: [String: Tensor], function: String? = nil) throws -> [String: Tensor] {
    try predict(inputs, EnginePrediction(function: function))
  }

  /// The same with states, and with progress that can end it.
  public func predict(_ inputs: [String: Tensor], _ prediction: EnginePrediction) throws -> [String: Tensor] {
    let views = inputs.map { (name: $0.key, view: $0.value.view) }
    let outputs = try withExtendedLifetime(inputs) { try predict(views, prediction) }
    return outputs.reduce(into: [:]) { $0[$1.0] = $1.1 }
  }

  /// Runs one function (nil: the default one) on memory that must stay valid during the call; outputs come in the
  /// package's order.
  public func predict(_ inputs: [(name: String, view: TensorView)], function: String?) throws -> [(String, Tensor)] {
    try predict(inputs, EnginePrediction(function: function))
  }

  /// The same with states, and with progress that can end it.
  public func predict(
    _ inputs: [(name: String, view: TensorView)], _ prediction: EnginePrediction
  ) throws -> [(String, Tensor)] {
    var result: OpaquePointer?
    try withDescriptors(of: inputs) { descriptors in
      try prediction.withOptions { options in
        try library.check {
          library.api.predict(handle, options, descriptors.baseAddress, descriptors.count, &result, $0)
        }
      }
    }
    guard let result else { throw EngineError.failure(.runtime, "the engine ran but gave no result") }
    let owner = EngineResult(handle: result, library: library, model: self)
    if let tell = prediction.statistics, let json = library.takeString(library.api.result_statistics(result)) {
      tell(json)
    }
    return try (0..<library.api.result_count(result)).map { try owner.tensor(at: $0) }
  }

  func withDescriptors(
    of inputs: [(name: String, view: TensorView)], _ body: (UnsafeBufferPointer<tt_tensor>) throws -> Void
  ) throws {
    var descriptors: [tt_tensor] = []
    descriptors.reserveCapacity(inputs.count)
    defer { for descriptor in descriptors { free(UnsafeMutablePointer(mutating: descriptor.name)) } }
    for (name, view) in inputs {
      guard view.shape.count <= Int(TT_MAX_RANK), view.strides.count == view.shape.count else {
        throw EngineError.failure(
          .invalidArgument,
          "input \"\(name)\" has rank \(view.shape.count), at most \(TT_MAX_RANK) axes are possible")
      }
      var descriptor = tt_tensor()
      descriptor.name = UnsafePointer(strdup(name))
      descriptor.data = UnsafeMutableRawPointer(mutating: view.base)
      descriptor.dtype = view.elementType.abiValue
      descriptor.rank = Int32(view.shape.count)
      view.shape.store(in: &descriptor.shape)
      view.strides.store(in: &descriptor.strides)
      descriptors.append(descriptor)
    }
    try descriptors.withUnsafeBufferPointer(body)
  }

  private static func describe(_ handle: OpaquePointer, _ library: EngineLibrary) throws -> ModelDescription {
    let functions = try (0..<library.api.function_count(handle)).map { index in
      let name = library.api.function_name(handle, index).map { String(cString: $0) } ?? ""
      return try FunctionDescription(
        name: name, inputs: features(TT_INPUT, of: name, handle, library),
        outputs: features(TT_OUTPUT, of: name, handle, library),
        states: features(TT_STATE, of: name, handle, library))
    }
    return ModelDescription(functions: functions)
  }

  private static func features(
    _ kind: Int, of function: String, _ handle: OpaquePointer, _ library: EngineLibrary
  ) throws -> [FeatureDescription] {
    let kind = tt_feature_kind(kind)
    return try (0..<library.api.feature_count(handle, function, kind)).map { index in
      var feature = tt_feature()
      try library.check { library.api.feature(handle, function, kind, index, &feature, $0) }
      let name = feature.name.map { String(cString: $0) } ?? ""
      if let image = ImageDescription(feature) {
        return FeatureDescription(name: name, image: image, isOptional: feature.optional != 0)
      }
      guard let elementType = ElementType(abiValue: feature.dtype) else {
        throw EngineError.failure(.unsupported, "\"\(name)\" has the unknown element type \(feature.dtype)")
      }
      let shape = feature.rank < 0 ? nil : [Int](feature.shape, rank: feature.rank)
      return FeatureDescription(
        name: name, elementType: elementType, shape: shape, isOptional: feature.optional != 0)
    }
  }
}

/// The outputs of one prediction. Tensors made from it keep it alive, so they need no copy.
private final class EngineResult: @unchecked Sendable {
  private let handle: OpaquePointer
  private let library: EngineLibrary
  private let model: EngineModel

  init(handle: OpaquePointer, library: EngineLibrary, model: EngineModel) {
    self.handle = handle
    self.library = library
    self.model = model
  }

  deinit { library.api.result_free(handle) }

  func tensor(at index: Int) throws -> (String, Tensor) {
    var descriptor = tt_tensor()
    try library.check { library.api.result_tensor(handle, index, &descriptor, $0) }
    let name = descriptor.name.map { String(cString: $0) } ?? ""
    guard let elementType = ElementType(abiValue: descriptor.dtype), (0...TT_MAX_RANK).contains(descriptor.rank)
    else {
      throw EngineError.failure(
        .runtime, "output \"\(name)\" has dtype \(descriptor.dtype) and rank \(descriptor.rank), which are unknown")
    }
    let shape = [Int](descriptor.shape, rank: descriptor.rank)
    guard let data = descriptor.data else {
      return (name, try Tensor.zeros(shape: shape, elementType: elementType))
    }
    let strides = [Int](descriptor.strides, rank: descriptor.rank)
    let view = TensorView(base: data, elementType: elementType, shape: shape, strides: strides)
    if !view.isContiguous { return (name, try Tensor(copying: view)) }
    // Capturing self is the point: the memory lives as long as the result.
    return (name, try Tensor(shape: shape, elementType: elementType, taking: data) { _ = self })
  }
}
