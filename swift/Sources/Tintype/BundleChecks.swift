/// What the types of `BundleDescriptor` cannot say: which values the format allows.
struct BundleChecks {
  let descriptor: BundleDescriptor
  let file: String

  func run() throws {
    try choice("family", descriptor.family, BundleNames.families)
    try choice("precision", descriptor.precision, BundleNames.precisions)
    try choice("schedule.kind", descriptor.schedule.kind, BundleNames.schedules)
    let latent = descriptor.latent
    for (key, value) in [
      ("size.width", descriptor.size.width), ("size.height", descriptor.size.height),
      ("latent.channels", latent.channels), ("latent.height", latent.height), ("latent.width", latent.width),
      ("latent.downscale", latent.downscale), ("schedule.num_train_timesteps", descriptor.schedule.trainTimesteps),
      ("context.clip_tokens", descriptor.context.clipTokens), ("context.t5_tokens", descriptor.context.t5Tokens),
      ("context.dim", descriptor.context.dim), ("pooled.dim", descriptor.pooled.dim),
      ("defaults.steps", descriptor.defaults.steps),
    ] {
      try count(key, value)
    }
    for (key, value, mayBeZero) in [
      ("latent.scale", latent.scale, false), ("latent.shift", latent.shift, true),
      ("schedule.shift", descriptor.schedule.shift, false),
      ("defaults.guidance_scale", descriptor.defaults.guidanceScale, true),
    ] {
      guard value.isFinite, mayBeZero || value != 0 else {
        throw bad(key, "\(value)", "a finite number" + (mayBeZero ? "" : " other than 0"))
      }
    }
    for (key, path) in ModelBundle.paths(descriptor) where !Self.staysInside(path) {
      throw BundleError.pathEscapes(file: file, key: key, value: path)
    }
    for (name, component) in descriptor.components {
      try specs("components.\(name).inputs", component.inputs)
      try specs("components.\(name).outputs", component.outputs)
    }
    for (name, row) in descriptor.tokenizers { try tokenizer("tokenizers.\(name)", row) }
  }

  /// A relative path without `..`, drive letters or backslashes.
  static func staysInside(_ path: String) -> Bool {
    let parts = path.unicodeScalars.split(separator: "/").map(String.init)
    let names = parts.filter { $0 != "." }
    return !names.isEmpty && !path.unicodeScalars.starts(with: ["/"]) && !parts.contains("..")
      && !path.unicodeScalars.contains { $0 == "\\" || $0 == ":" || $0 == "\0" }
  }

  private func specs(_ key: String, _ specs: [BundleDescriptor.TensorSpec]) throws {
    guard !specs.isEmpty else { throw bad(key, "empty", "a non-empty list") }
    for (index, spec) in specs.enumerated() {
      try choice("\(key)[\(index)].dtype", spec.dtype, BundleNames.elementTypes)
      var product = 1
      for extent in spec.shape {
        let (next, overflow) = product.multipliedReportingOverflow(by: extent)
        guard extent > 0, extent <= Int(Int32.max), !overflow, next <= Int.max / 8 else {
          throw bad("\(key)[\(index)].shape", "\(spec.shape)", "a list of positive integers that memory can hold")
        }
        product = next
      }
    }
  }

  private func tokenizer(_ key: String, _ row: BundleDescriptor.TokenizerRow) throws {
    try choice("\(key).kind", row.kind, [BundleNames.clipTokenizer, BundleNames.t5Tokenizer])
    try count("\(key).max_length", row.maxLength)
    guard row.kind != BundleNames.clipTokenizer || row.bosTokenID != nil else {
      throw BundleError.malformed(file: file, key: "\(key).bos_token_id", reason: "it is missing")
    }
  }

  private func choice(_ key: String, _ value: String, _ allowed: [String]) throws {
    guard allowed.contains(value) else {
      throw bad(key, "'\(value)'", "one of \(allowed.joined(separator: ", "))")
    }
  }

  private func count(_ key: String, _ value: Int) throws {
    guard value >= 1, value <= Int(Int32.max) else { throw bad(key, "\(value)", "an integer of at least 1") }
  }

  private func bad(_ key: String, _ value: String, _ expected: String) -> BundleError {
    .badValue(file: file, key: key, value: value, expected: expected)
  }
}
