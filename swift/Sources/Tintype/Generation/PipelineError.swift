/// What can go wrong in a run apart from the request and the backends.
public enum PipelineError: Error, Equatable, Sendable {
  /// A model's output holds NaN or infinite values.
  case notFinite(component: PipelineComponent, backend: BackendKind, output: String, count: Int)
  /// An input exceeds what the model's float16 holds.
  case float16Overflow(component: PipelineComponent, input: String, largest: Float)
  /// A package has other inputs or outputs than `bundle.json` lists.
  case featureMismatch(component: PipelineComponent, kind: String, listed: [String], found: [String])
  /// A tensor between two stages has another shape than the bundle says.
  case shapeMismatch(what: String, expected: [Int], actual: [Int])
}

extension PipelineError: ExplainedError {
  package var explanation: (problem: String, remedy: String?) {
    switch self {
    case .notFinite(let component, let backend, let output, let count):
      (
        "\(component.rawValue) on backend '\(backend.rawValue)' gave \(count) NaN or infinite values in '\(output)'",
        "try another backend, or convert the model again in float32"
      )
    case .float16Overflow(let component, let input, let largest):
      (
        "\(component.rawValue): input '\(input)' reaches \(largest), more than float16 holds (65504)",
        "convert the model again in float32"
      )
    case .featureMismatch(let component, let kind, let listed, let found):
      (
        "the package of \(component.rawValue) has the \(kind) \(found.joined(separator: ", ")), but "
          + "\(BundleNames.file) lists \(listed.joined(separator: ", "))", "convert the model again"
      )
    case .shapeMismatch(let what, let expected, let actual):
      ("\(what) has shape \(actual), but \(BundleNames.file) says \(expected)", "convert the model again")
    }
  }
}
