/// What the types of `BundleDescriptor` cannot say: which values the format allows.
struct BundleChecks {
  let descriptor: BundleDescriptor
  let file: String

  func run() throws {
    let (latent, context) = (descriptor.latent, descriptor.context)
    for (key, value, most) in [
      ("size.width", descriptor.size.width, Limit.side), ("size.height", descriptor.size.height, Limit.side),
      ("latent.channels", latent.channels, Limit.channels), ("latent.height", latent.height, Limit.side),
      ("latent.width", latent.width, Limit.side), ("latent.downscale", latent.downscale, Limit.side),
      ("schedule.num_train_timesteps", descriptor.schedule.trainTimesteps, Limit.tokens),
      ("context.clip_tokens", context.clipTokens, Limit.tokens), ("context.t5_tokens", context.t5Tokens, Limit.tokens),
      ("context.dim", context.dim, Limit.side), ("pooled.dim", descriptor.pooled.dim, Limit.side),
      ("defaults.steps", descriptor.defaults.steps, Limit.tokens),
    ] {
      try count(key, value, most: most)
    }
    try elements("latent", [latent.channels, latent.height, latent.width])
    try picture("size", descriptor.size, height: latent.height, width: latent.width)
    try elements("context", [context.clipTokens + context.t5Tokens, context.dim])
    for (key, value, mayBeZero) in [
      ("latent.scale", latent.scale, false), ("latent.shift", latent.shift, true),
      ("schedule.shift", descriptor.schedule.shift, false),
      ("defaults.guidance_scale", descriptor.defaults.guidanceScale, true),
    ] {
      guard value.isFinite, mayBeZero || value != 0 else {
        throw bad(key, "\(value)", "a finite number" + (mayBeZero ? "" : " other than 0"))
      }
    }
    if let dynamic = descriptor.schedule.dynamic { try self.dynamic(dynamic) }
    for (key, path) in ModelBundle.paths(descriptor) where !Self.staysInside(path) {
      throw BundleError.pathEscapes(file: file, key: key, value: path)
    }
    try sizes()
    for (name, component) in descriptor.components { try self.component("components.\(name)", component) }
    for (name, row) in descriptor.tokenizers { try tokenizer("tokenizers.\(name)", row) }
  }

  /// Above these a value is a mistake, and would only be found when memory runs out.
  enum Limit {
    static let side = 1 << 16
    /// Previews solve for 9 unknowns a channel; the widest latents that are published have 512 channels.
    static let channels = 1 << 10
    static let tokens = 1 << 20
    static let elements = 1 << 28
  }

  /// A relative path without `..`, drive letters or backslashes.
  static func staysInside(_ path: String) -> Bool {
    let parts = path.unicodeScalars.split(separator: "/").map(String.init)
    let names = parts.filter { $0 != "." }
    return !names.isEmpty && !path.unicodeScalars.starts(with: ["/"]) && !parts.contains("..")
      && !path.unicodeScalars.contains { $0 == "\\" || $0 == ":" || $0 == "\0" }
  }

  func specs(_ key: String, _ specs: [BundleDescriptor.TensorSpec]) throws {
    guard !specs.isEmpty else { throw bad(key, "empty", "a non-empty list") }
    for (index, spec) in specs.enumerated() {
      try choice("\(key)[\(index)].dtype", spec.dtype, BundleNames.elementTypes)
      try elements("\(key)[\(index)].shape", spec.shape)
    }
  }

  /// Extents are positive and their product is one that memory can hold.
  func elements(_ key: String, _ shape: [Int]) throws {
    var product = 1
    for extent in shape {
      let (next, overflow) = product.multipliedReportingOverflow(by: extent)
      guard extent > 0, !overflow, next <= Limit.elements else {
        throw bad(key, "\(shape)", "a list of positive integers that memory can hold")
      }
      product = next
    }
  }

  /// A picture has `downscale` pixels along each edge of its latent's, and memory can hold it.
  func picture(_ key: String, _ size: ImageSize, height: Int, width: Int) throws {
    let downscale = descriptor.latent.downscale
    let expected = ImageSize(width: width * downscale, height: height * downscale)
    guard size == expected else {
      throw bad(key, "\(size)", "\(expected), the latent's \(width)x\(height) times latent.downscale \(downscale)")
    }
    try elements(key, [3, size.height, size.width])
  }

  private func dynamic(_ shift: BundleDescriptor.DynamicShift) throws {
    for (key, value) in [("base_shift", shift.baseShift), ("max_shift", shift.maxShift)] where !value.isFinite {
      throw bad("schedule.\(key)", "\(value)", "a finite number")
    }
    for (key, value) in [
      ("base_image_seq_len", shift.baseImageTokens), ("max_image_seq_len", shift.maxImageTokens),
    ] {
      try count("schedule.\(key)", value, most: Limit.tokens)
    }
    guard shift.baseImageTokens < shift.maxImageTokens else {
      throw bad(
        "schedule.base_image_seq_len", "\(shift.baseImageTokens)", "less than max_image_seq_len \(shift.maxImageTokens)"
      )
    }
  }

  private func tokenizer(_ key: String, _ row: BundleDescriptor.TokenizerRow) throws {
    try count("\(key).max_length", row.maxLength, most: Limit.tokens)
    guard row.kind != .clipBytePairs || row.bosTokenID != nil else {
      throw BundleError.malformed(file: file, key: "\(key).bos_token_id", reason: "it is missing")
    }
  }

  private func choice(_ key: String, _ value: String, _ allowed: [String]) throws {
    guard allowed.contains(value) else {
      throw bad(key, "'\(value)'", "one of \(allowed.joined(separator: ", "))")
    }
  }

  func count(_ key: String, _ value: Int, most: Int) throws {
    guard value >= 1 else { throw bad(key, "\(value)", "an integer of at least 1") }
    guard value <= most else { throw bad(key, "\(value)", "an integer of at most \(most)") }
  }

  func bad(_ key: String, _ value: String, _ expected: String) -> BundleError {
    .badValue(file: file, key: key, value: value, expected: expected)
  }
}
