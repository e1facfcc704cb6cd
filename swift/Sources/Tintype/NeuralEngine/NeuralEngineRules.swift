import TintypePackages

/// The rules that an operation must keep to stay on the Neural Engine; Python's are python/tintype/neural_engine/rules.py,
/// the sources docs/neural_engine.md. They are published advice and reports, not a specification, and none was measured on
/// a device by this project.
struct NeuralEngineRules {
  let function: ProgramFunction

  /// A broken rule: its name, and the reason with the value that broke it.
  struct Complaint: Equatable {
    let rule: String
    let reason: String
  }

  private static let mostAxes = 5
  /// The last axis is stored in multiples of so many bytes.
  private static let rowBytes = 64
  /// Padding of one value that is worth a complaint, if it also doubles the value's size.
  private static let mostPadding = 4 << 20
  /// Attention scores of one softmax, in bytes: 15 times one head and 512 queries of a 1024×1024 image.
  private static let mostScores = 64 << 20
  private static let largestKernel = 13
  private static let largestPoolStride = 2

  /// The first rule that an operation breaks; nil where it keeps all. Those on constants alone break none.
  func complaint(_ operation: ProgramOperation) -> Complaint? {
    if operation.kind.hasPrefix("constexpr_") { return nil }
    let rules: [(String, (ProgramOperation) -> String?)] = [
      ("fall-back", { Self.fallBacks[$0.kind] }), ("shape", shape), ("dtype", dtype), ("rank", rank),
      ("attention", attention), ("layout", layout), ("limits", limits), ("width", width),
    ]
    for (rule, reason) in rules {
      if let reason = reason(operation) { return Complaint(rule: rule, reason: reason) }
    }
    return nil
  }

  /// Bytes that a float16 tensor of this shape is padded by on the Neural Engine.
  static func padding(_ tensor: ProgramTensor) -> Int {
    guard let last = tensor.shape.last, tensor.isStatic, !tensor.shape.contains(0) else { return 0 }
    let row = Count.product([last, 2])
    let waste = (rowBytes - row % rowBytes) % rowBytes
    return Count.product([tensor.elements / last, waste])
  }

  /// Types of all tensors that go in and out.
  private func values(_ operation: ProgramOperation) -> [ProgramTensor] {
    operation.inputs.flatMap { $0.values.compactMap { function.tensors[$0] } } + operation.outputTensors
  }

  private func shape(_ operation: ProgramOperation) -> String? {
    values(operation).first { !$0.isStatic }.map { "the shape \($0.shape) is not fixed" }
  }

  private func dtype(_ operation: ProgramOperation) -> String? {
    if let bad = values(operation).first(where: { $0.isFloatingPoint && $0.dtype != "float16" }) {
      return "\(bad.dtype) is not float16"
    }
    return operation.outputTensors.first { !$0.isFloatingPoint }.map { "\($0.dtype) results are not float16" }
  }

  private func rank(_ operation: ProgramOperation) -> String? {
    let rank = values(operation).map(\.shape.count).max() ?? 0
    return rank > Self.mostAxes ? "rank \(rank) is above \(Self.mostAxes)" : nil
  }

  private func width(_ operation: ProgramOperation) -> String? {
    for tensor in operation.outputTensors where tensor.isFloatingPoint {
      let waste = Self.padding(tensor)
      if waste > Self.mostPadding, waste >= Count.product([2, tensor.elements]) {
        return "a last axis of \(tensor.shape.last ?? 1) pads \(tensor.shape) by \(megabytes(waste))"
      }
    }
    return nil
  }

  private func attention(_ operation: ProgramOperation) -> String? {
    switch operation.kind {
    case "scaled_dot_product_attention":
      return "the fused attention runs on the GPU: split it by head and by chunk of queries"
    case "matmul" where !operation.values(of: "y").contains(where: { function.constants[$0] != nil }):
      return "a product of activations as matmul: write it as an einsum nchw,nwhu->nchu"
    case "einsum":
      let equation = function.text(operation, "equation")
      return equation == "nchw,nwhu->nchu" ? nil : "the einsum \(equation ?? "None") is not Core ML's own"
    case "softmax":
      let size = function.arguments(operation, "x").map(\.bytes).max() ?? 0
      return size > Self.mostScores ? "\(megabytes(size)) of scores at once: attend in chunks of queries" : nil
    default: return nil
    }
  }

  private func layout(_ operation: ProgramOperation) -> String? {
    operation.kind == "linear"
      ? "linear: a 1×1 convolution of (B, C, 1, S) keeps the layout of the Neural Engine" : nil
  }

  private func limits(_ operation: ProgramOperation) -> String? {
    func largest(_ name: String) -> Int { function.integers(operation, name)?.max() ?? 1 }
    switch operation.kind {
    case "conv", "conv_transpose":
      let kernel = function.arguments(operation, "weight").first?.shape.dropFirst(2).max() ?? 1
      if kernel > Self.largestKernel { return "a kernel of \(kernel) is above \(Self.largestKernel)" }
      return largest("dilations") > 1 ? "dilated convolutions run on the CPU or GPU" : nil
    case "avg_pool", "max_pool":
      let (kernel, stride) = (largest("kernel_sizes"), largest("strides"))
      guard kernel > Self.largestKernel || stride > Self.largestPoolStride else { return nil }
      return "a pool of kernel \(kernel), stride \(stride) is above \(Self.largestKernel), \(Self.largestPoolStride)"
    default: return nil
    }
  }

  private func megabytes(_ bytes: Int) -> String {
    "\(Int((Double(bytes) / 1e6).rounded(.toNearestOrEven))) MB"
  }

  /// Why an operation leaves the Neural Engine whatever it computes.
  private static let fallBacks: [String: String] = {
    let kinds: [(reason: String, operations: [String])] = [
      ("control flow runs on the CPU", ["cond", "while_loop"]),
      ("recurrent layers run on the CPU or GPU", ["gru", "lstm", "rnn"]),
      (
        "reads by index run on the CPU or GPU",
        ["gather", "gather_nd", "gather_along_axis", "scatter", "scatter_nd", "scatter_along_axis"]
      ),
      (
        "sorting and searching run on the CPU or GPU",
        [
          "argsort", "topk", "cumsum", "non_zero", "non_maximum_suppression", "one_hot", "reduce_argmax",
          "reduce_argmin",
        ]
      ),
      (
        "trigonometry runs on the CPU or GPU: make it a constant or an input",
        ["acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "sin", "sinh", "tan"]
      ),
      (
        "random numbers are drawn on the CPU or GPU",
        ["random_bernoulli", "random_categorical", "random_normal", "random_uniform"]
      ),
      ("leaves as an op: write x·sigmoid(x)", ["silu"]),
    ]
    return kinds.reduce(into: [:]) { all, row in for operation in row.operations { all[operation] = row.reason } }
  }()
}
