/// What sets the families apart at generation: which encoders read the prompt, how their outputs are joined, and how
/// guidance enters. One row a family; the definitions are docs/bundle_format.md.
struct ModelFamily: Sendable, Equatable {
  let name: String
  /// CLIP encoders, whose pooled outputs are joined in this order.
  let clips: [Clip]
  /// Whether no picture can be made without T5.
  let needsT5: Bool
  /// Whether the context begins with CLIP's hidden states; else it is T5's alone.
  let contextHasClip: Bool
  /// Whether guidance takes a second, negative pass. Else the scale is an input of the modulation, if it has one.
  let hasNegativePass: Bool

  struct Clip: Sendable, Equatable {
    let component: Component
    let tokenizer: String
  }

  static let stableDiffusion3 = ModelFamily(
    name: "sd3",
    clips: [
      Clip(component: .textEncoder, tokenizer: BundleNames.tokenizer),
      Clip(component: .textEncoder2, tokenizer: BundleNames.tokenizer2),
    ], needsT5: false, contextHasClip: true, hasNegativePass: true)

  static let flux = ModelFamily(
    name: "flux", clips: [Clip(component: .textEncoder, tokenizer: BundleNames.tokenizer)], needsT5: true,
    contextHasClip: false, hasNegativePass: false)

  static let all = [stableDiffusion3, flux]

  /// Components without which no picture can be made.
  var required: [Component] {
    clips.map(\.component) + (needsT5 ? [.textEncoder3] : []) + [.modulation, .denoiser, .vaeDecoder]
  }
}

extension BundleDescriptor {
  /// `BundleChecks` has seen that the name is known.
  var modelFamily: ModelFamily { ModelFamily.all.first { $0.name == family } ?? .stableDiffusion3 }
}
