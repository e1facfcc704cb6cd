/// How one prediction is made.
open class MLPredictionOptions {
  /// Accepted as on Apple's systems; there is only the CPU here.
  open var usesCPUOnly = false

  /// Multi-arrays and pixel buffers that outputs should be written to, by the outputs' names; compare by identity to
  /// learn whether one was used. One that the output's description does not allow is an error of the prediction
  /// (`MLModelError.featureType`); batches, and flexible outputs of another shape than the backing's, get memory of
  /// their own. Other names are passed over.
  open var outputBackings: [String: Any] = [:]

  /// The default options.
  public init() {}
}
