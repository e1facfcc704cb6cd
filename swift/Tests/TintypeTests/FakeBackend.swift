import Foundation
import TestSupport
import Tintype

/// A backend whose models are closures, and which writes down what it was asked.
final class FakeBackend: Backend {
  typealias Prediction = @Sendable ([String: Tensor], String?) throws -> [String: Tensor]

  struct Call: Equatable {
    let component: String
    let inputs: [String: [Float]]
    let function: String?

    init(_ component: String, _ inputs: [String: Tensor], _ function: String?) {
      (self.component, self.function) = (component, function)
      self.inputs = inputs.mapValues { $0.floats() }
    }
  }

  let kind: BackendKind
  let bundle: BundleDescriptor
  private let holdsFunctionsApart: Bool
  private let predict: @Sendable (PipelineComponent, [String: Tensor]) throws -> [String: Tensor]
  private let log = Locked<(calls: [Call], loads: [String], opened: [String])>(([], [], []))

  /// - Parameter holdsFunctionsApart: each function that is opened has memory of its own, as on Core ML.
  init(
    _ bundle: BundleDescriptor, kind: BackendKind = .mlx, holdsFunctionsApart: Bool = false,
    predict: @escaping @Sendable (PipelineComponent, [String: Tensor]) throws -> [String: Tensor]
  ) {
    self.bundle = bundle
    self.holdsFunctionsApart = holdsFunctionsApart
    self.kind = kind
    self.predict = predict
  }

  var calls: [Call] { log.withLock(\.calls) }
  var loads: [String] { log.withLock(\.loads) }
  /// The functions that were to be opened ahead, as "component function".
  var opened: [String] { log.withLock(\.opened) }

  func calls(_ component: PipelineComponent) -> [Call] { calls.filter { $0.component == component.rawValue } }

  func checkAvailability() throws {}

  func load(_ package: URL, units: ComputeUnits) throws -> any LoadedModel {
    let name = package.deletingPathExtension().lastPathComponent
    log.withLock { $0.loads.append("\(name) \(units.rawValue)") }
    guard let row = bundle.components[name] else { return try loadChunk(name) }
    guard let component = PipelineComponent(rawValue: name) else { throw noModel(name) }
    let functions =
      [description("main", row.inputs, row.outputs)]
      + (row.functions ?? [:]).map { description($0.key, $0.value.inputs, $0.value.outputs) }
    let apart = holdsFunctionsApart ? Locked<Set<String>>([]) : nil
    return Model(backend: kind, modelDescription: ModelDescription(functions: functions), apart: apart) {
      [self] inputs, function in
      log.withLock { $0.calls.append(Call(name, inputs, function)) }
      return try predict(component, inputs)
    } opening: { [self] function in
      log.withLock { $0.opened.append("\(name) \(function ?? "default")") }
    }
  }

  /// A chunk gives the outputs that it lists, all 0.25, and the last one its component's.
  private func loadChunk(_ name: String) throws -> any LoadedModel {
    for (component, row) in bundle.components {
      guard let chunk = row.chunks?.first(where: { $0.path == "\(name).mlpackage" }) else { continue }
      let function = description("main", chunk.inputs, chunk.outputs)
      return Model(backend: kind, modelDescription: ModelDescription(functions: [function])) {
        [self] inputs, function in
        log.withLock { $0.calls.append(Call(name, inputs, function)) }
        if chunk.path == row.chunks?.last?.path, let component = PipelineComponent(rawValue: component) {
          return try predict(component, inputs)
        }
        return try chunk.outputs.reduce(into: [:]) { outputs, spec in
          let values = [Float](repeating: 0.25, count: spec.shape.reduce(1, *))
          outputs[spec.name] = try Tensor(shape: spec.shape, floats: values).converted(
            to: ElementType(rawValue: spec.dtype) ?? .float32)
        }
      }
    }
    throw noModel(name)
  }

  private func noModel(_ name: String) -> BackendError {
    .failed(backend: kind, kind: .io, message: "no model \(name)")
  }

  private func description(
    _ name: String, _ inputs: [BundleDescriptor.TensorSpec], _ outputs: [BundleDescriptor.TensorSpec]
  ) -> FunctionDescription {
    func features(_ specs: [BundleDescriptor.TensorSpec]) -> [FeatureDescription] {
      specs.map {
        FeatureDescription(name: $0.name, elementType: ElementType(rawValue: $0.dtype) ?? .float32, shape: $0.shape)
      }
    }
    return FunctionDescription(name: name, inputs: features(inputs), outputs: features(outputs))
  }

  private struct Model: LoadedModel {
    let backend: BackendKind
    let modelDescription: ModelDescription
    /// The open functions, where each has memory of its own.
    var apart: Locked<Set<String>>?
    let run: Prediction
    var opening: @Sendable (String?) -> Void = { _ in }

    var openFunctions: Set<String> { apart?.withLock { $0 } ?? [] }

    func prepare(function: String?) throws {
      opening(function)
      guard let name = modelDescription.function(named: function)?.name else { return }
      apart?.withLock { _ = $0.insert(name) }
    }

    func predict(_ inputs: [String: Tensor], function: String?) throws -> [String: Tensor] {
      try run(inputs, function)
    }
  }
}

/// A bundle folder with empty packages and a vocabulary of a few letters: enough for everything but real models.
final class FakeBundle: Sendable {
  let folder: URL
  let bundle: ModelBundle
  private let temporary: TemporaryFolder

  init(
    batch: Int = 1, precision: String = "float32", hasT5: Bool = false, omitting: String? = nil, velocity: [Int]? = nil,
    image: [Int] = [1, 3, 8, 16], packages: [String] = [], change: (inout [String: Any]) throws -> Void = { _ in }
  ) throws {
    temporary = try TemporaryFolder()
    folder = temporary.url
    var names = ["text_encoder", "text_encoder_2", "modulation", "denoiser", "vae_decoder"]
    if hasT5 { names.append("text_encoder_3") }
    for name in (names + packages).map({ "\($0).mlpackage" }) + ["tokenizer", "tokenizer_3"] {
      try FileManager.default.createDirectory(
        at: folder.appendingPathComponent(name), withIntermediateDirectories: true)
    }
    let tokenizer = folder.appendingPathComponent("tokenizer")
    try Data(#"{"a</w>": 0, "b</w>": 1, "<s>": 2, "</s>": 3}"#.utf8).write(
      to: tokenizer.appendingPathComponent("vocab.json"))
    try Data("#version: 0.2\n".utf8).write(to: tokenizer.appendingPathComponent("merges.txt"))
    let unigram = #"{"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["</s>", 0], ["a", -1]]}}"#
    try Data(unigram.utf8).write(to: folder.appendingPathComponent("tokenizer_3/tokenizer.json"))
    var json = Self.json(
      batch: batch, precision: precision, hasT5: hasT5, omitting: omitting, velocity: velocity ?? [batch, 2, 1, 2],
      image: image)
    try change(&json)
    try JSONSerialization.data(withJSONObject: json).write(to: folder.appendingPathComponent("bundle.json"))
    bundle = try ModelBundle(at: folder)
  }

  /// Shape key: L = T = 4 tokens, J = 5, P = 3, C = 2, h = 1, w = 2, R·W = 1·2.
  private static func json(
    batch: Int, precision: String, hasT5: Bool, omitting: String?, velocity: [Int], image: [Int]
  ) -> [String: Any] {
    func spec(_ name: String, _ shape: [Int], _ dtype: String? = nil) -> [String: Any] {
      ["name": name, "dtype": dtype ?? precision, "shape": shape]
    }
    func component(_ name: String, _ inputs: [[String: Any]], _ outputs: [[String: Any]]) -> [String: Any] {
      ["path": "\(name).mlpackage", "inputs": inputs, "outputs": outputs]
    }
    let ids = spec("input_ids", [1, 4], "int32")
    var components = [
      "text_encoder": component("text_encoder", [ids], [spec("hidden_states", [1, 4, 2]), spec("pooled", [1, 1])]),
      "text_encoder_2": component(
        "text_encoder_2", [ids], [spec("hidden_states", [1, 4, 2]), spec("pooled", [1, 2])]),
      "modulation": component(
        "modulation", [spec("timestep_features", [batch, 256]), spec("pooled", [batch, 3])],
        [spec("modulation", [batch, 1, 2])]),
      "denoiser": component(
        "denoiser",
        [spec("latent", [batch, 2, 1, 2]), spec("context", [batch, 8, 5]), spec("modulation", [batch, 1, 2])],
        [spec("velocity", velocity)]),
      "vae_decoder": component("vae_decoder", [spec("latent", [1, 2, 1, 2])], [spec("image", image)]),
    ]
    if hasT5 {
      components["text_encoder_3"] = component("text_encoder_3", [ids], [spec("hidden_states", [1, 4, 5])])
    }
    if let omitting { components[omitting] = nil }
    func tokenizer(_ kind: String, _ path: String) -> [String: Any] {
      ["kind": kind, "path": path, "max_length": 4, "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0]
    }
    return [
      "format": "tintype-bundle", "format_version": 2, "name": "fake", "family": "sd3", "target": "gpu",
      "precision": precision, "size": ["width": 16, "height": 8],
      "latent": ["channels": 2, "height": 1, "width": 2, "downscale": 8, "scale": 2.0, "shift": 0.5],
      "schedule": ["kind": "flow_match_euler", "shift": 3.0, "num_train_timesteps": 1000],
      "context": ["clip_tokens": 4, "t5_tokens": 4, "dim": 5], "pooled": ["dim": 3],
      "defaults": ["steps": 2, "guidance_scale": 3], "components": components,
      "tokenizers": [
        "tokenizer": tokenizer("clip_bpe", "tokenizer"), "tokenizer_2": tokenizer("clip_bpe", "tokenizer"),
        "tokenizer_3": tokenizer("t5_unigram", "tokenizer_3"),
      ],
    ]
  }

  /// Outputs of the described shapes: `value` everywhere, or what `override` says.
  func backend(
    kind: BackendKind = .mlx, holdsFunctionsApart: Bool = false, value: Float = 0.5,
    override: @escaping @Sendable (PipelineComponent, [String: Tensor]) throws -> [String: Tensor]? = { _, _ in nil }
  ) -> FakeBackend {
    let descriptor = bundle.descriptor
    return FakeBackend(descriptor, kind: kind, holdsFunctionsApart: holdsFunctionsApart) { component, inputs in
      if let outputs = try override(component, inputs) { return outputs }
      return try (descriptor.components[component.rawValue]?.outputs ?? []).reduce(into: [:]) { outputs, spec in
        let values = Array(repeating: value, count: spec.shape.reduce(1, *))
        let tensor = try Tensor(shape: spec.shape, floats: values)
        outputs[spec.name] = try tensor.converted(to: ElementType(rawValue: spec.dtype) ?? .float32)
      }
    }
  }

  func pipeline(
    _ backend: FakeBackend, memoryBudget: Int? = nil, reduceMemory: Bool = false
  ) throws -> TextToImagePipeline {
    let configuration = PipelineConfiguration(memoryBudget: memoryBudget, reduceMemory: reduceMemory) { _, _ in
      backend
    }
    return try TextToImagePipeline(bundle: bundle, configuration: configuration)
  }
}
