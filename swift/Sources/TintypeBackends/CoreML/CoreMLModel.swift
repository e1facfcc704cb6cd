import CoreML
import TintypeImages
import TintypeMLX
import TintypePackages

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A compiled model with one `MLModel` a function: of several, each is opened when it is first used, since Core ML
/// specialises and holds each by itself; an only one at once.
final class CoreMLModel: LoadedModel {
  /// Opens a function; nil: the default one.
  typealias Opening = @Sendable (_ function: String?) throws -> FunctionModel

  let backend = BackendKind.coreml
  let modelDescription: ModelDescription
  let metadataJSON: String?
  private let open: Opening
  private let models: Locked<[String: FunctionModel]>

  /// - Parameter description: nil: there is one function, which describes itself.
  init(_ description: ModelDescription?, metadataJSON: String?, open: @escaping Opening) throws {
    self.open = open
    self.metadataJSON = metadataJSON
    if let description, description.functions.count > 1 {
      modelDescription = description
      models = Locked([:])
      return
    }
    let model = try open(nil)
    let function = description?.functions.first ?? model.describe()
    modelDescription = ModelDescription(functions: [function])
    models = Locked([function.name: model])
  }

  var openFunctions: Set<String> { models.withLock { Set($0.keys) } }

  func prepare(function name: String?) throws { _ = try model(of: known(name)) }

  func predict(_ inputs: [String: Tensor], function name: String?) throws -> [String: Tensor] {
    let function = try known(name)
    try function.check(inputs)
    return try model(of: function).predict(inputs, function, using: nil)
  }

  func predict(_ inputs: [String: Tensor], options: PredictionOptions) throws -> [String: Tensor] {
    try options.progress?(0)
    let function = try known(options.function)
    try function.check(inputs)
    let state = options.state as? CoreMLState
    guard state != nil || options.state == nil else { throw BackendError.foreignState(.coreml) }
    let model = try model(of: function)
    let outputs = try options.timed { try model.predict(inputs, function, using: state) }
    try options.progress?(1)
    return outputs
  }

  func makeState(function name: String?) throws -> any ModelState {
    let function = try known(name)
    guard !function.states.isEmpty else { throw BackendError.noStates(.coreml) }
    return try model(of: function).makeState(function)
  }

  private func known(_ name: String?) throws -> FunctionDescription {
    guard let function = modelDescription.function(named: name) else {
      throw BackendError.unknownFunction(name: name ?? "", known: modelDescription.functions.map(\.name))
    }
    return function
  }

  private func model(of function: FunctionDescription) throws -> FunctionModel {
    if let model = models.withLock({ $0[function.name] }) { return model }
    // Loading may take minutes; other functions must not wait for it. Two loads of one function waste only time.
    let model = try open(function.name)
    return models.withLock { models in
      if let earlier = models[function.name] { return earlier }
      models[function.name] = model
      return model
    }
  }
}

extension FunctionDescription {
  /// Refuses what Core ML would refuse later with fewer words, or convert silently.
  func check(_ tensors: [String: Tensor]) throws {
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      try checkInput(named: name, shape: tensor.shape, elementType: tensor.elementType)
    }
    if let missing = inputs.first(where: { tensors[$0.name] == nil && !$0.isOptional }) {
      throw BackendError.missingInput(name: missing.name, known: inputs.map(\.name))
    }
  }

  /// Whether this function takes such an input.
  public func checkInput(named name: String, shape: [Int], elementType: ElementType) throws {
    guard let feature = input(named: name) else {
      throw BackendError.unknownInput(name: name, known: inputs.map(\.name))
    }
    guard feature.accepts(shape: shape) else {
      if let image = feature.image, let size = image.size(ofShape: shape) {
        throw BackendError.imageSizeMismatch(name: name, expected: image, actual: size)
      }
      if let allowed = feature.allowedShapes {
        throw BackendError.shapeNotAllowed(name: name, allowed: allowed, actual: shape)
      }
      throw BackendError.shapeMismatch(name: name, expected: feature.shape ?? [], actual: shape)
    }
    guard elementType == feature.elementType else {
      throw BackendError.elementTypeMismatch(name: name, expected: feature.elementType, actual: elementType)
    }
  }
}

/// One `MLModel`. Core ML asks that an instance predicts on one thread at a time, so a lock guards it.
final class FunctionModel: @unchecked Sendable {
  private let model: MLModel
  private let classifier: ClassifierDescription?
  /// Whether the model takes our memory for its outputs.
  private let usesBackings = Locked(true)

  init(compiled: URL, function: String?, units: ComputeUnits) throws {
    let configuration = try MLModelConfiguration(units: units, function: function)
    do {
      model = try withAutoreleasePool { try MLModel(contentsOf: compiled, configuration: configuration) }
      classifier = ClassifierDescription(model.modelDescription)
    } catch {
      // Core ML's word for files that it cannot read; the portable one's errors know their kind.
      let isUnreadable = if case MLModelError.io = error { true } else { false }
      throw CoreMLPlatform.backendError(error, isUnreadable ? .format : .runtime)
    }
  }

  /// Of a package's only function, whose name Core ML does not tell.
  func describe() -> FunctionDescription { FunctionDescription(name: "main", model.modelDescription) }

  /// A state of this model, zeroed.
  func makeState(_ function: FunctionDescription) throws -> CoreMLState {
    guard #available(macOS 15, iOS 18, tvOS 18, visionOS 2, *) else {
      throw BackendError.failed(
        backend: .coreml, kind: .unsupported,
        message: "models with states need macOS 15 or iOS 18; use backend \"mlx\"")
    }
    return withAutoreleasePool { CoreMLState(model.makeState(), function.states) }
  }

  func predict(
    _ inputs: [String: Tensor], _ function: FunctionDescription, using state: CoreMLState?
  ) throws -> [String: Tensor] {
    try withAutoreleasePool { try tensors(inputs, function, state) }
  }

  private func tensors(
    _ inputs: [String: Tensor], _ function: FunctionDescription, _ state: CoreMLState?
  ) throws -> [String: Tensor] {
    do {
      let values = try inputs.map { name, tensor in
        guard let image = function.input(named: name)?.image else {
          return (name, MLFeatureValue(multiArray: try MLMultiArray(sharing: tensor)))
        }
        return (name, MLFeatureValue(pixelBuffer: try tensor.pixelBuffer(image.colorLayout)))
      }
      let features = try MLDictionaryFeatureProvider(dictionary: Dictionary(uniqueKeysWithValues: values))
      let backings = try outputBackings(of: function)
      let result = try usesBackings.withLock { try run(features, backings, state, &$0) }
      return try function.outputs.reduce(into: [:]) { tensors, feature in
        let value = result.featureValue(for: feature.name)
        if let image = feature.image, let buffer = value?.imageBufferValue {
          tensors[feature.name] = try Tensor(pixelsOf: buffer, image.colorLayout)
          return
        }
        if let value, let tensor = try classifier?.tensor(of: value, named: feature.name) {
          tensors[feature.name] = tensor
          return
        }
        guard let array = value?.multiArrayValue else {
          throw BackendError.failed(
            backend: .coreml, kind: .runtime, message: "the prediction has no output \"\(feature.name)\"")
        }
        let backing = backings[feature.name]
        tensors[feature.name] = backing?.array === array ? backing?.tensor : try Tensor(copying: array)
      }
    } catch {
      throw CoreMLPlatform.backendError(error, .runtime)
    }
  }

  /// A tensor, and the array over its memory that Core ML writes.
  private typealias Backing = (tensor: Tensor, array: MLMultiArray)

  /// Memory for the outputs whose shapes are known before.
  private func outputBackings(of function: FunctionDescription) throws -> [String: Backing] {
    try function.outputs.reduce(into: [:]) { backings, feature in
      guard feature.image == nil, classifier?.feature(named: feature.name) == nil, let shape = feature.shape,
        !shape.contains(-1),
        feature.elementType.coreMLRawValue != nil
      else { return }
      let tensor = try Tensor.zeros(shape: shape, elementType: feature.elementType)
      backings[feature.name] = (tensor, try MLMultiArray(sharing: tensor))
    }
  }

  /// Predicts into the backings; where a model does not take them, it runs without, this time and later.
  private func run(
    _ features: any MLFeatureProvider, _ backings: [String: Backing], _ state: CoreMLState?, _ usesBackings: inout Bool
  ) throws -> any MLFeatureProvider {
    let options = MLPredictionOptions()
    // A second try would find a state that the first one may have changed.
    guard usesBackings, !backings.isEmpty, state == nil else { return try run(features, options, state) }
    options.outputBackings = backings.mapValues(\.array)
    do {
      return try run(features, options, nil)
    } catch {
      options.outputBackings = [:]
      let result = try run(features, options, nil)
      usesBackings = false
      return result
    }
  }

  private func run(
    _ features: any MLFeatureProvider, _ options: MLPredictionOptions, _ state: CoreMLState?
  ) throws -> any MLFeatureProvider {
    guard let state else { return try model.prediction(from: features, options: options) }
    guard #available(macOS 15, iOS 18, tvOS 18, visionOS 2, *) else { throw BackendError.noStates(.coreml) }
    return try state.exclusively { try model.prediction(from: features, using: $0, options: options) }
  }
}

extension MLModelConfiguration {
  /// - Parameter function: nil: the default one, the only one that systems before macOS 15 and iOS 18 know.
  convenience init(units: ComputeUnits, function: String?) throws {
    self.init()
    if let function {
      guard #available(macOS 15, iOS 18, tvOS 18, visionOS 2, *) else {
        throw BackendError.failed(
          backend: .coreml, kind: .unsupported,
          message: "function \"\(function)\" cannot be chosen: packages with several functions need macOS 15 or "
            + "iOS 18; use backend \"mlx\" or a package with one function")
      }
      functionName = function
    }
    computeUnits =
      switch units {
      case .all: .all
      case .cpuOnly: .cpuOnly
      case .cpuAndGPU: .cpuAndGPU
      case .cpuAndNeuralEngine: .cpuAndNeuralEngine
      }
  }
}

extension MLMultiArray {
  /// An array over a tensor's memory, which lives as long as the array. Core ML reads it, or writes it
  /// before anybody else sees the tensor.
  fileprivate convenience init(sharing tensor: Tensor) throws {
    guard let type = tensor.elementType.coreMLRawValue.flatMap(MLMultiArrayDataType.init(rawValue:)) else {
      throw BackendError.failed(
        backend: .coreml, kind: .unsupported,
        message: "Core ML has no multi-arrays of \(tensor.elementType.rawValue); convert the tensor to int32 or floats")
    }
    let view = tensor.view
    try self.init(
      dataPointer: UnsafeMutableRawPointer(mutating: view.base), shape: view.shape.map { NSNumber(value: $0) },
      dataType: type, strides: view.strides.map { NSNumber(value: $0) },
      deallocator: { _ in withExtendedLifetime(tensor) {} })
  }
}

extension Tensor {
  /// A contiguous copy of an output, whose rows Core ML may have padded.
  init(copying array: MLMultiArray) throws {
    let shape = array.shape.map(\.intValue)
    guard let type = ElementType(coreMLRawValue: array.dataType.rawValue) else {
      throw BackendError.failed(
        backend: .coreml, kind: .unsupported,
        message: "an output has the multi-array data type \(array.dataType.rawValue), which is unknown")
    }
    self = try array.withUnsafeMutableBytes { bytes, strides in
      guard let base = bytes.baseAddress else { return try Tensor.zeros(shape: shape, elementType: type) }
      return try Tensor(
        copying: TensorView(base: UnsafeRawPointer(base), elementType: type, shape: shape, strides: strides))
    }
  }
}
