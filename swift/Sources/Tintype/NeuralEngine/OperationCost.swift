import TintypePackages

extension ProgramFunction {
  /// Floating-point operations of one execution: a multiply-add is 2, moving data is 0. Norms, softmax and activations have
  /// a fixed number an element; what works on integers has none.
  func floatingPointOperations(_ operation: ProgramOperation) -> Int {
    guard !OperationCost.isFree(operation.kind), let out = operation.outputTensors.first,
      operation.outputTensors.contains(where: \.isFloatingPoint)
    else { return 0 }
    switch operation.kind {
    case "conv":
      // An output is a sum over (in / groups)·kernel: all of the weight's axes but the first.
      return Count.sum([Count.product([2, out.elements, taps(operation)]), bias(operation, out)])
    case "conv_transpose":
      let count = arguments(operation, "x").first?.elements ?? 0
      return Count.sum([Count.product([2, count, taps(operation)]), bias(operation, out)])
    case "linear":
      let inner = arguments(operation, "x").first?.shape.last ?? 1
      return Count.sum([Count.product([2, out.elements, max(inner, 1)]), bias(operation, out)])
    case "matmul": return Count.product([2, out.elements, inner(operation, out)])
    case "einsum": return einsum(operation, out)
    case "scaled_dot_product_attention": return attention(operation, out)
    case let kind where kind.hasPrefix("reduce_"):
      return Count.sum(arguments(operation, "x").map(\.elements))
    case let kind:
      let each = OperationCost.perElement[kind] ?? 1
      return Count.product([each, Count.sum(operation.outputTensors.map(\.elements))])
    }
  }

  private func bias(_ operation: ProgramOperation, _ out: ProgramTensor) -> Int {
    arguments(operation, "bias").isEmpty ? 0 : out.elements
  }

  private func taps(_ operation: ProgramOperation) -> Int {
    Count.product(arguments(operation, "weight").first?.shape.dropFirst().map { max($0, 0) } ?? [])
  }

  /// Multiply-adds an output of a product: the axis of x that is summed, found by what remains of it.
  private func inner(_ operation: ProgramOperation, _ out: ProgramTensor) -> Int {
    guard let x = arguments(operation, "x").first else { return 1 }
    let rows = out.shape.count > 1 ? out.shape[out.shape.count - 2] : 1
    let outer = Count.product(x.shape.dropLast(2).map { max($0, 1) } + [max(rows, 1)])
    return max(x.elements / outer, 1)
  }

  private func einsum(_ operation: ProgramOperation, _ out: ProgramTensor) -> Int {
    let terms = (text(operation, "equation") ?? "").prefix { $0 != "-" }.split(separator: ",")
    var extents: [Character: Int] = [:]
    for (term, tensor) in zip(terms, arguments(operation, "values")) {
      for (letter, extent) in zip(term.filter { $0 != " " }, tensor.shape) { extents[letter] = extent }
    }
    return Count.product(extents.isEmpty ? [2, out.elements] : [2] + extents.values.map { max($0, 1) })
  }

  private func attention(_ operation: ProgramOperation, _ out: ProgramTensor) -> Int {
    guard let query = arguments(operation, "query").first, let key = arguments(operation, "key").first,
      let width = query.shape.last, let outWidth = out.shape.last, key.shape.count > 1
    else { return Count.product([2, out.elements]) }
    let scores = query.shape.dropLast().map { max($0, 1) } + [max(key.shape[key.shape.count - 2], 1)]
    let each = 2 * min(max(width, 1), 1 << 40) + 2 * min(max(outWidth, 1), 1 << 40) + OperationCost.softmax
    return Count.product(scores + [each])
  }
}

private enum OperationCost {
  static let softmax = 5

  /// Operations an element of the output, where it is not 1.
  static let perElement: [String: Int] = [
    "batch_norm": 2, "instance_norm": 8, "layer_norm": 8, "l2_norm": 4, "local_response_norm": 8, "softmax": softmax,
    "gelu": 8, "sigmoid": 4, "silu": 5, "tanh": 4, "erf": 4, "exp": 2, "softplus": 4, "upsample_bilinear": 8,
    "resize_bilinear": 8,
  ]

  /// What moves, makes or chooses data, and what is computed when a model is loaded.
  static func isFree(_ kind: String) -> Bool { kind.hasPrefix("constexpr_") || moves.contains(kind) }

  private static let moves: Set<String> = [
    "band_part", "cast", "concat", "const", "crop", "depth_to_space", "expand_dims", "fill", "gather",
    "gather_along_axis", "gather_nd", "identity", "one_hot", "pad", "pixel_shuffle", "pixel_unshuffle", "range_1d",
    "reshape", "reshape_like", "reverse", "scatter", "scatter_along_axis", "scatter_nd", "select", "shape",
    "slice_by_index", "slice_by_size", "sliding_windows", "space_to_depth", "split", "squeeze", "stack", "tile",
    "transpose", "upsample_nearest_neighbor",
  ]
}
