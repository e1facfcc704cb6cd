import Foundation
import TintypeTokenizers

/// One prompt for the denoiser. Shape key: L CLIP tokens, T T5 tokens, N the context's tokens (L + T, or T where CLIP's
/// are no part of it), J its width, P the pooled width.
public struct TextConditioning: Sendable {
  /// float32 [1, N, J]
  public let context: Tensor
  /// float32 [1, P]
  public let pooled: Tensor

  /// One prompt's embeddings, float32.
  public init(context: Tensor, pooled: Tensor) {
    self.context = context
    self.pooled = pooled
  }
}

/// A bundle's tokenizers and text encoders.
///
/// prompt ─► CLIP-L, CLIP-G (hidden states joined on channels, padded to J) ─┐
///        └► T5 (or zeros) ──────────────────────────────────────────────────┴► context; pooled = both CLIPs' joined
///
/// FLUX: CLIP-L gives the pooled state alone, T5 the context.
struct TextEncoders: Sendable {
  private let bundle: ModelBundle
  private let models: ComponentModels
  private let tokenizers = LazyStore<String, any TextTokenizer>()

  init(bundle: ModelBundle, models: ComponentModels) {
    self.bundle = bundle
    self.models = models
  }

  func encode(_ prompt: String, plan: GenerationPlan, recorder: RunRecorder) async throws -> TextConditioning {
    var hidden: [Tensor] = []
    var pooled: [Tensor] = []
    for clip in plan.family.clips {
      let outputs = try await run(clip.component, clip.tokenizer, prompt, plan: plan, recorder: recorder)
      if plan.family.contextHasClip {
        hidden.append(try outputs.float32(BundleNames.hiddenStates, clip.component, bundle.descriptor))
      }
      pooled.append(try outputs.float32(BundleNames.pooled, clip.component, bundle.descriptor))
    }
    var t5: Tensor?
    if plan.settings.useT5 {
      let outputs = try await run(.textEncoder3, BundleNames.tokenizer3, prompt, plan: plan, recorder: recorder)
      t5 = try outputs.float32(BundleNames.hiddenStates, .textEncoder3, bundle.descriptor)
    }
    return TextConditioning(
      context: try plan.family.contextHasClip
        ? Self.context(clip: hidden, t5: t5, bundle.descriptor.context)
        : Self.context(t5: t5, bundle.descriptor.context),
      pooled: try Self.joined(pooled, width: bundle.descriptor.pooled.dim))
  }

  /// A prompt's ids, int32 [1, length]; the recorder is warned where its end was cut.
  func tokens(_ name: String, _ prompt: String, recorder: RunRecorder) async throws -> Tensor {
    guard let row = bundle.descriptor.tokenizers[name] else {
      throw BundleError.missingTokenizer(
        name: name, bundle: bundle.descriptor.name, known: bundle.descriptor.tokenizers.keys.sorted())
    }
    let folder = bundle.folder.appendingPathComponent(row.path)
    let tokenizer = try await tokenizers.value(name) { try Self.tokenizer(row, folder: folder) }
    let text = try await Blocking.run { tokenizer.encode(prompt, length: row.maxLength) }
    // Both CLIP tokenizers share a length: one warning is enough.
    if text.dropped > 0, name != BundleNames.tokenizer2 {
      let encoder = name == BundleNames.tokenizer3 ? "T5" : "CLIP"
      recorder.warn(
        "the prompt is longer than the \(row.maxLength) tokens that \(encoder) reads; its last "
          + "\(text.dropped == 1 ? "token was" : "\(text.dropped) tokens were") cut: '\(Self.short(prompt))'")
    }
    return try Tensor(shape: [1, text.ids.count], int32s: text.ids)
  }

  private static func tokenizer(_ row: BundleDescriptor.TokenizerRow, folder: URL) throws -> any TextTokenizer {
    if row.kind == .t5Unigram {
      return try UnigramTokenizer(folder: folder, padTokenID: row.padTokenID)
    }
    // BundleChecks has seen that CLIP's row has a start token.
    return try ClipTokenizer(
      folder: folder, bosTokenID: row.bosTokenID ?? -1, eosTokenID: row.eosTokenID, padTokenID: row.padTokenID)
  }

  private func run(
    _ component: PipelineComponent, _ tokenizer: String, _ prompt: String, plan: GenerationPlan, recorder: RunRecorder
  ) async throws -> [String: Tensor] {
    let ids = try await tokens(tokenizer, prompt, recorder: recorder)
    return try await models.run(component, [BundleNames.inputIDs: ids], plan: plan, recorder: recorder)
  }

  /// [CLIP states joined on channels, zero-padded to J ; T5's states or zeros] along tokens: [1, L + T, J].
  static func context(clip: [Tensor], t5: Tensor?, _ bundle: BundleDescriptor.Context) throws -> Tensor {
    let (length, width) = (bundle.clipTokens, bundle.dim)
    for tensor in clip where tensor.shape.count != 3 || tensor.shape.prefix(2) != [1, length] {
      throw PipelineError.shapeMismatch(
        what: "CLIP's hidden state", expected: [1, length, tensor.shape.last ?? 0], actual: tensor.shape)
    }
    let channels = clip.map { $0.shape[2] }
    guard channels.reduce(0, +) <= width else {
      throw PipelineError.shapeMismatch(
        what: "the joined CLIP state", expected: [1, length, width], actual: [1, length, channels.reduce(0, +)])
    }
    if let t5, t5.shape != [1, bundle.t5Tokens, width] {
      throw PipelineError.shapeMismatch(
        what: "T5's hidden state", expected: [1, bundle.t5Tokens, width], actual: t5.shape)
    }
    let states = clip.map { $0.floats() }
    var values: [Float] = []
    values.reserveCapacity((length + bundle.t5Tokens) * width)
    for token in 0..<length {
      for (state, count) in zip(states, channels) { values += state[token * count..<(token + 1) * count] }
      values += repeatElement(0, count: width - channels.reduce(0, +))
    }
    values += t5?.floats() ?? Array(repeating: 0, count: bundle.t5Tokens * width)
    return try Tensor(shape: [1, length + bundle.t5Tokens, width], floats: values)
  }

  /// T5's states alone: [1, T, J].
  static func context(t5: Tensor?, _ bundle: BundleDescriptor.Context) throws -> Tensor {
    let expected = [1, bundle.t5Tokens, bundle.dim]
    guard let t5, t5.shape == expected else {
      throw PipelineError.shapeMismatch(what: "T5's hidden state", expected: expected, actual: t5?.shape ?? [])
    }
    return t5
  }

  private static func joined(_ pooled: [Tensor], width: Int) throws -> Tensor {
    let values = pooled.flatMap { $0.floats() }
    guard values.count == width else {
      throw PipelineError.shapeMismatch(what: "the pooled state", expected: [1, width], actual: [1, values.count])
    }
    return try Tensor(shape: [1, width], floats: values)
  }

  private static func short(_ text: String) -> String {
    text.count > 60 ? "\(text.prefix(40))…\(text.suffix(15))" : text
  }
}
