// Components that are cut into chunks, and those with a function a size.

extension BundleChecks {
  /// The default size comes first and stands in `size` and `latent` as well.
  func sizes() throws {
    guard let sizes = descriptor.sizes else { return }
    guard let first = sizes.first else { throw bad("sizes", "empty", "the default size and others") }
    let (latent, size) = (descriptor.latent, descriptor.size)
    guard first.size == size, first.latent.height == latent.height, first.latent.width == latent.width else {
      throw bad("sizes[0]", "\(first.size)", "the bundle's default size, \(size), with its latent")
    }
    for (index, row) in sizes.enumerated() {
      for (key, value) in [
        ("width", row.width), ("height", row.height), ("latent.height", row.latent.height),
        ("latent.width", row.latent.width),
      ] {
        try count("sizes[\(index)].\(key)", value, most: Limit.side)
      }
      try elements("sizes[\(index)].latent", [latent.channels, row.latent.height, row.latent.width])
      try picture("sizes[\(index)]", row.size, height: row.latent.height, width: row.latent.width)
      if sizes[..<index].contains(where: { $0.size == row.size }) {
        throw bad("sizes[\(index)]", "\(row.size)", "each size once")
      }
    }
  }

  func component(_ key: String, _ row: BundleDescriptor.ComponentRow) throws {
    try specs("\(key).inputs", row.inputs)
    try specs("\(key).outputs", row.outputs)
    try functions("\(key).functions", row.functions)
    if let test = row.selfTest, !(test.tolerance > 0 && test.tolerance.isFinite) {
      throw bad("\(key).self_test.tolerance", "\(test.tolerance)", "a number above 0")
    }
    guard let chunks = row.chunks else {
      if row.path == nil { throw BundleError.malformed(file: file, key: "\(key).path", reason: "it is missing") }
      return
    }
    guard row.path == nil else { throw bad("\(key).path", "'\(row.path ?? "")'", "no path beside chunks") }
    guard !chunks.isEmpty else { throw bad("\(key).chunks", "empty", "a non-empty list") }
    for (index, chunk) in chunks.enumerated() {
      try specs("\(key).chunks[\(index)].inputs", chunk.inputs)
      try specs("\(key).chunks[\(index)].outputs", chunk.outputs)
      try functions("\(key).chunks[\(index)].functions", chunk.functions)
    }
    try wiring(key, row, chunks)
  }

  private func functions(_ key: String, _ functions: [String: BundleDescriptor.FunctionRow]?) throws {
    for (name, function) in functions ?? [:] {
      try specs("\(key).\(name).inputs", function.inputs)
      try specs("\(key).\(name).outputs", function.outputs)
    }
  }

  /// Every chunk's inputs are there when it runs, as they are, and the component's outputs when all have run.
  private func wiring(
    _ key: String, _ row: BundleDescriptor.ComponentRow, _ chunks: [BundleDescriptor.ChunkRow]
  ) throws {
    var values = Dictionary(row.inputs.map { ($0.name, $0) }) { first, _ in first }
    func check(_ key: String, _ spec: BundleDescriptor.TensorSpec) throws {
      guard let value = values[spec.name] else {
        throw bad(key, "'\(spec.name)'", "one of \(values.keys.sorted().joined(separator: ", "))")
      }
      guard value == spec else {
        throw bad(key, "'\(spec.name)' \(spec.dtype) \(spec.shape)", "\(value.dtype) \(value.shape)")
      }
    }
    for (index, chunk) in chunks.enumerated() {
      for spec in chunk.inputs { try check("\(key).chunks[\(index)].inputs", spec) }
      for spec in chunk.outputs { values[spec.name] = spec }
    }
    for spec in row.outputs { try check("\(key).outputs", spec) }
  }
}
