/// A bundle's models, loaded on first use and kept per component, backend and units.
///
/// inputs ─► converted to the described types ─► prediction ─► outputs checked for NaN
struct ComponentModels: Sendable {
  private struct Key: Hashable, Sendable {
    let component: PipelineComponent
    let choice: BackendChoice
    let units: ComputeUnits
  }

  /// A model with what its backend had to say about itself.
  private struct Loaded: Sendable {
    let model: any LoadedModel
    let notices: ModelNotices
  }

  private let bundle: ModelBundle
  private let configuration: PipelineConfiguration
  private let store: LazyStore<Key, Loaded>

  init(bundle: ModelBundle, configuration: PipelineConfiguration) {
    self.bundle = bundle
    self.configuration = configuration
    store = LazyStore(budget: configuration.memoryBudget) { $0.model.copies }
  }

  /// One prediction, at the plan's size. Outputs keep the model's element types; all their values are finite. A
  /// cancelled task ends it as soon as the backend can.
  func run(
    _ component: PipelineComponent, _ inputs: [String: Tensor], plan: GenerationPlan, recorder: RunRecorder
  ) async throws -> [String: Tensor] {
    try Task.checkCancellation()
    let stage = component.stage
    let (choice, units) = (plan.backend[stage], plan.units[stage])
    let function = plan.bundle.function(of: component)
    let loaded = try await load(
      Key(component: component, choice: choice, units: units), function: function, recorder: recorder)
    loaded.notices.report(to: recorder)
    let row = try plan.bundle.component(component)
    let costs = Locked<[PredictionStatistics]>([])
    let keep: @Sendable (PredictionStatistics) -> Void = { cost in costs.withLock { $0.append(cost) } }
    let listener = recorder.collectsStatistics ? keep : nil
    let outputs = try await Blocking.run { checkWanted in
      var converted: [String: Tensor] = [:]
      for (name, tensor) in inputs {
        converted[name] = try Self.converted(tensor, to: row.input(name)?.dtype, component: component, name: name)
      }
      let options = PredictionOptions(
        function: function, progress: { _ in try checkWanted() }, onStatistics: listener)
      let outputs = try loaded.model.predict(converted, options: options)
      for (name, tensor) in outputs { try Self.checkFinite(tensor, component, loaded.model.backend, name) }
      return outputs
    }
    if recorder.collectsStatistics { recorder.add(costs.withLock { $0 }, component, on: loaded.model.backend) }
    report(loaded, component, choice, to: recorder)
    return outputs
  }

  /// Loads a component ahead of its first use: compiles it if need be, runs its self-test, and opens the function of a
  /// size (nil: of the default one).
  func warm(
    _ component: PipelineComponent, choice: BackendChoice, units: ComputeUnits, function: String?, recorder: RunRecorder
  ) async throws {
    try Task.checkCancellation()
    let loaded = try await load(
      Key(component: component, choice: choice, units: units), function: function, recorder: recorder)
    report(loaded, component, choice, to: recorder)
    await finished(with: [component])
  }

  /// Forgets the models of some components; predictions in progress finish first.
  func unload(_ components: Set<PipelineComponent>) async {
    await store.remove { components.contains($0.component) }
  }

  /// A run needs these components no more: where memory counts more than time, they go.
  func finished(with components: Set<PipelineComponent>) async {
    if configuration.reduceMemory { await unload(components) }
  }

  /// The components in memory.
  var loaded: Set<PipelineComponent> { get async { Set(await store.keys.map(\.component)) } }

  private func load(_ key: Key, function: String?, recorder: RunRecorder) async throws -> Loaded {
    let packages = try bundle.packages(key.component)
    let row = try bundle.descriptor.component(key.component)
    let clock = ContinuousClock()
    let start = clock.now
    defer { recorder.addLoad(clock.now - start) }
    await store.grow(key) { $0.model.copiesMore(with: function) }
    let loaded = try await store.value(key, bytes: weightBytes(of: packages)) { [bundle, configuration] in
      let notices = ModelNotices(key.component)
      notices.report(to: recorder)
      let backend = configuration.backend(key.choice, notice: notices.take)
      try backend.checkAvailability()
      // The recorded prediction guards against Core ML's kernels, which differ from system to system.
      let selfTest = backend.kind == .coreml ? try bundle.selfTest(key.component) : nil
      let model = try backend.load(chunks: packages, units: key.units, passing: selfTest)
      try Self.checkNames(model.modelDescription, row, key.component)
      return Loaded(model: model, notices: notices)
    }
    // Packages with one function are open. As with a loading model, nobody who is cancelled waits.
    if bundle.descriptor.sizes != nil {
      let opening = Task { try await Blocking.run { try loaded.model.prepare(function: function) } }
      try await Waiter.value(of: opening)
    }
    return loaded
  }

  private func report(
    _ loaded: Loaded, _ component: PipelineComponent, _ choice: BackendChoice, to recorder: RunRecorder
  ) {
    loaded.notices.report(to: recorder)
    recorder.ran(component, on: loaded.model.backend, reason: loaded.notices.reason ?? choice.reason)
  }

  /// The package must offer the names that `bundle.json` lists.
  private static func checkNames(
    _ description: ModelDescription, _ row: BundleDescriptor.ComponentRow, _ component: PipelineComponent
  ) throws {
    for (kind, listed, found) in [
      ("inputs", row.inputs.map(\.name), description.inputs.map(\.name)),
      ("outputs", row.outputs.map(\.name), description.outputs.map(\.name)),
    ] where listed.sorted() != found.sorted() {
      throw PipelineError.featureMismatch(
        component: component, kind: kind, listed: listed.sorted(), found: found.sorted())
    }
  }

  private static func converted(
    _ tensor: Tensor, to dtype: String?, component: PipelineComponent, name: String
  ) throws -> Tensor {
    guard let type = dtype.flatMap(ElementType.init(rawValue:)), type != tensor.elementType else { return tensor }
    let converted = try tensor.converted(to: type)
    if type == .float16, tensor.elementType == .float32 {
      let largest = tensor.floats().reduce(Float(0)) { max($0, $1.magnitude) }
      // Half the distance to the next value above 65504 rounds to infinity.
      guard largest < 65520 else {
        throw PipelineError.float16Overflow(component: component, input: name, largest: largest)
      }
    }
    return converted
  }

  private static func checkFinite(
    _ tensor: Tensor, _ component: PipelineComponent, _ backend: BackendKind, _ name: String
  ) throws {
    // Finite numbers of float64 may be none in float32, in which pipelines compute; those have to be looked at one by one.
    if tensor.elementType != .float64, tensor.isFinite { return }
    let bad = tensor.floats().reduce(0) { $0 + ($1.isFinite ? 0 : 1) }
    guard bad == 0 else {
      throw PipelineError.notFinite(component: component, backend: backend, output: name, count: bad)
    }
  }
}

extension [String: Tensor] {
  /// An output in float32, of the shape that the bundle lists.
  func float32(_ name: String, _ component: PipelineComponent, _ bundle: BundleDescriptor) throws -> Tensor {
    let shape = try bundle.component(component).output(name)?.shape
    guard let tensor = self[name], let shape else {
      throw PipelineError.featureMismatch(
        component: component, kind: "outputs", listed: [name], found: keys.sorted())
    }
    guard tensor.shape == shape else {
      throw PipelineError.shapeMismatch(
        what: "\(component.rawValue)'s output '\(name)'", expected: shape, actual: tensor.shape)
    }
    return try tensor.converted(to: .float32)
  }
}
