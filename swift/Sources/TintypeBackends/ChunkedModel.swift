import TintypeMLX

/// Several packages that run one after the other as one model: a network that was cut so that each part is small
/// enough for the Neural Engine.
///
/// Each chunk takes what it asks for by name, from the model's inputs or an earlier chunk's outputs. Values pass from
/// chunk to chunk as they are, without a change of type. Nothing is kept between predictions.
struct ChunkedModel: LoadedModel {
  let chunks: [any LoadedModel]
  let modelDescription: ModelDescription

  /// Throws `BackendError.failed` where the chunks do not fit each other.
  init(_ chunks: [any LoadedModel]) throws {
    for (index, chunk) in chunks.enumerated() { try Self.checkKeepsNothing(chunk, number: index + 1) }
    self.chunks = chunks
    var names: [String?] = [nil]
    for name in chunks.flatMap({ $0.modelDescription.functions.dropFirst().map(\.name) }) where !names.contains(name) {
      names.append(name)
    }
    modelDescription = ModelDescription(functions: try names.map { try Self.joined(chunks, function: $0) })
  }

  /// The first chunk's, unless a later one moved to another backend.
  var backend: BackendKind { chunks.map(\.backend).first { $0 == .mlx } ?? .coreml }

  /// Those of any chunk: one of which a chunk has no part counts as if it had.
  var openFunctions: Set<String> { chunks.reduce(into: []) { $0.formUnion($1.openFunctions) } }

  func prepare(function: String?) throws {
    for chunk in chunks { try chunk.prepare(function: Self.part(chunk, function)?.name) }
  }

  func predict(_ inputs: [String: Tensor], function: String?) throws -> [String: Tensor] {
    try predict(inputs, options: PredictionOptions(function: function))
  }

  func predict(_ inputs: [String: Tensor], options: PredictionOptions) throws -> [String: Tensor] {
    if options.state != nil { throw BackendError.noStates(backend) }
    guard let whole = modelDescription.function(named: options.function) else {
      throw BackendError.unknownFunction(name: options.function ?? "", known: modelDescription.functions.map(\.name))
    }
    if let name = inputs.keys.sorted().first(where: { whole.input(named: $0) == nil }) {
      throw BackendError.unknownInput(name: name, known: whole.inputs.map(\.name))
    }
    var values = inputs
    for (index, chunk) in chunks.enumerated() {
      let part = Self.part(chunk, options.function)
      let taken = part?.inputs.reduce(into: [String: Tensor]()) { $0[$1.name] = values[$1.name] } ?? [:]
      let outputs = try chunk.predict(taken, options: options.part(index, of: chunks.count, function: part?.name))
      values.merge(outputs) { $1 }
    }
    return whole.outputs.reduce(into: [:]) { $0[$1.name] = values[$1.name] }
  }

  /// A chunk's function of that name; one that does not depend on what the functions tell apart has only its default.
  private static func part(_ chunk: any LoadedModel, _ function: String?) -> FunctionDescription? {
    chunk.modelDescription.function(named: function) ?? chunk.modelDescription.functions.first
  }

  private static func joined(_ chunks: [any LoadedModel], function: String?) throws -> FunctionDescription {
    let parts = chunks.compactMap { part($0, function) }
    var (inputs, outputs): ([FeatureDescription], [FeatureDescription]) = ([], [])
    for (index, part) in parts.enumerated() {
      for feature in part.inputs {
        if let place = outputs.firstIndex(where: { $0.name == feature.name }) {
          try check(feature, isFedBy: outputs[place], chunk: index, backend: chunks[index].backend)
        } else if !inputs.contains(where: { $0.name == feature.name }) {
          inputs.append(feature)
        }
      }
      outputs += part.outputs
    }
    let consumed = Set(parts.flatMap { $0.inputs.map(\.name) })
    return FunctionDescription(
      name: function ?? parts.first?.name ?? "main", inputs: inputs,
      outputs: outputs.filter { !consumed.contains($0.name) })
  }

  private static func checkKeepsNothing(_ chunk: any LoadedModel, number: Int) throws {
    guard let state = chunk.modelDescription.functions.flatMap(\.states).first else { return }
    throw BackendError.failed(
      backend: chunk.backend, kind: .unsupported,
      message: "chunk \(number) keeps the state \"\(state.name)\" between predictions, which chunks cannot: "
        + "convert the model to one package")
  }

  private static func check(
    _ input: FeatureDescription, isFedBy output: FeatureDescription, chunk: Int, backend: BackendKind
  ) throws {
    guard input.elementType == output.elementType, output.shape.map({ mayAccept(input, $0) }) ?? true else {
      func text(_ feature: FeatureDescription) -> String {
        "\(feature.elementType.rawValue) \(feature.shape.map { "\($0)" } ?? "of any shape")"
      }
      throw BackendError.failed(
        backend: backend, kind: .format,
        message: "chunk \(chunk + 1) takes \"\(input.name)\" as \(text(input)), but an earlier one gives it as "
          + "\(text(output)): convert the model again")
    }
  }

  /// Whether values of a shape whose flexible extents (-1) are not known yet may fit.
  private static func mayAccept(_ input: FeatureDescription, _ shape: [Int]) -> Bool {
    guard shape.contains(-1), let own = input.shape else { return input.accepts(shape: shape) }
    return own.count == shape.count && zip(own, shape).allSatisfy { $0 == -1 || $1 == -1 || $0 == $1 }
  }
}

extension PredictionOptions {
  /// The options of one of several parts that take equally long.
  fileprivate func part(_ index: Int, of count: Int, function: String?) -> PredictionOptions {
    guard let progress else { return PredictionOptions(function: function, onStatistics: onStatistics) }
    return PredictionOptions(
      function: function, progress: { try progress((Double(index) + $0) / Double(count)) }, onStatistics: onStatistics)
  }
}
