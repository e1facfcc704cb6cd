/// How one prediction is made.
open class MLPredictionOptions {
  /// Accepted as on Apple's systems; there is only the CPU here.
  open var usesCPUOnly = false

  /// Multi-arrays that outputs should be written to. One is used when its shape and data type are the output's;
  /// compare by identity to learn whether it was.
  open var outputBackings: [String: Any] = [:]

  /// The default options.
  public init() {}
}
