/// What sets the families apart at generation: which encoders read the prompt, how their outputs are joined, and how
/// guidance enters. One row a family; the definitions are docs/bundle_format.md.
struct ModelFamily: Sendable, Equatable {
  let kind: BundleDescriptor.Family
  /// CLIP encoders, whose pooled outputs are joined in this order.
  let clips: [Clip]
  /// Whether no picture can be made without T5.
  let needsT5: Bool
  /// Whether the context begins with CLIP's hidden states; else it is T5's alone.
  let contextHasClip: Bool
  /// Whether guidance takes a second, negative pass. Else the scale is an input of the modulation, if it has one.
  let hasNegativePass: Bool

  struct Clip: Sendable, Equatable {
    let component: PipelineComponent
    let tokenizer: String
  }

  static let stableDiffusion3 = ModelFamily(
    kind: .stableDiffusion3,
    clips: [
      Clip(component: .textEncoder, tokenizer: BundleNames.tokenizer),
      Clip(component: .textEncoder2, tokenizer: BundleNames.tokenizer2),
    ], needsT5: false, contextHasClip: true, hasNegativePass: true)

  static let flux = ModelFamily(
    kind: .flux, clips: [Clip(component: .textEncoder, tokenizer: BundleNames.tokenizer)], needsT5: true,
    contextHasClip: false, hasNegativePass: false)

  /// What its models are called.
  var name: String { kind.rawValue }

  /// Components without which no picture can be made.
  var required: [PipelineComponent] {
    clips.map(\.component) + (needsT5 ? [.textEncoder3] : []) + [.modulation, .denoiser, .vaeDecoder]
  }
}

extension BundleDescriptor {
  var modelFamily: ModelFamily {
    switch family {
    case .stableDiffusion3: .stableDiffusion3
    case .flux: .flux
    }
  }
}
