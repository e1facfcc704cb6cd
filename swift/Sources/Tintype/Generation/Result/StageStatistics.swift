/// What all predictions of a stage's models cost. As JSON it has the keys of Python's `StageStatistics`.
public struct StageStatistics: Sendable, Equatable, Encodable {
  /// What ran the stage, in the order of the first predictions.
  public private(set) var backends: [BackendKind] = []
  /// How often a package ran; a model in chunks counts one for each chunk.
  public private(set) var predictions = 0
  /// The sum of the predictions' times.
  public private(set) var duration = Duration.zero
  /// By kind of op; empty where no backend tells.
  public private(set) var operations: [String: PredictionStatistics.Operation] = [:]
  /// The most bytes that the values of one prediction took at a time; nil where no backend tells.
  public private(set) var peakBytes: Int?
  /// Bytes of the weights of all packages that ran; nil where no backend tells.
  public var weightBytes: Int? { weights.isEmpty ? nil : weights.values.reduce(0, +) }
  /// Backends that tell no more than the time.
  public private(set) var untold: [BackendKind] = []

  private var weights: [Package: Int] = [:]

  private struct Package: Hashable {
    let component: PipelineComponent
    let chunk: Int
  }

  private enum CodingKeys: String, CodingKey {
    case backends, predictions, untold
    case duration = "seconds"
    case operations = "ops"
    case peakBytes = "peak_bytes"
    case weightBytes = "weight_bytes"
  }

  /// Nothing ran so far.
  init() {}

  /// Adds one prediction of a component: a row for each chunk, in order.
  mutating func add(_ rows: [PredictionStatistics], _ component: PipelineComponent, on backend: BackendKind) {
    if !rows.isEmpty, !backends.contains(backend) { backends.append(backend) }
    for row in rows {
      predictions += 1
      duration += row.duration
      guard !row.operations.isEmpty else {
        if !untold.contains(backend) { untold.append(backend) }
        continue
      }
      operations.merge(row.operations) { $0 + $1 }
    }
    for (chunk, row) in rows.filter({ !$0.operations.isEmpty }).enumerated() {
      if let peak = row.peakAllocatedBytes { peakBytes = max(peakBytes ?? 0, peak) }
      if let bytes = row.weightBytes { weights[Package(component: component, chunk: chunk)] = bytes }
    }
  }

  /// What is not known is null, so that the keys are always the same.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(backends, forKey: .backends)
    try values.encode(predictions, forKey: .predictions)
    try values.encode(secondsOf: duration, forKey: .duration)
    try values.encode(operations, forKey: .operations)
    try values.encode(peakBytes, forKey: .peakBytes)
    try values.encode(weightBytes, forKey: .weightBytes)
    try values.encode(untold, forKey: .untold)
  }
}
