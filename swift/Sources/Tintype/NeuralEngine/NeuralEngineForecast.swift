import Foundation
import TintypePackages

/// What a package would do on the Neural Engine, forecast from its operations by published rules (docs/neural_engine.md), as
/// Python's `tintype inspect --neural-engine` does. Nothing is run, and no rule was measured on a device by this project: on a
/// Mac, `CoreMLBackend.computePlan` knows better.
///
/// It is of the function `main`; operations and bytes are those of one prediction.
public struct NeuralEngineForecast: Sendable, Equatable {
  /// Operations of one kind that break one rule for one reason.
  public struct Miss: Sendable, Codable, Equatable {
    /// The rule's name.
    public let rule: String
    /// The operations' kind.
    public let op: String
    /// Why they leave, with the value that broke the rule.
    public let reason: String
    /// How many.
    public internal(set) var count: Int
    /// Floating-point operations of all of them.
    public internal(set) var flops: Int
    /// The first one's output.
    public let place: String
  }

  /// How many operations there are; constants are not counted.
  public let ops: Int
  /// Floating-point operations of all of them.
  public let flops: Int
  /// Those in operations that break no rule.
  public let cleanFlops: Int
  /// Pieces that go to the Neural Engine; each further one is a change of processor.
  public let segments: Int
  /// What the stored weights stand for.
  public let parameters: Int
  /// Weights as they are stored, compressed or not.
  public let weightBytes: Int
  /// Activations read and written, if none stayed on the chip.
  public let valueBytes: Int
  /// What the Neural Engine's rows of 64 bytes add to the activations written.
  public let paddingBytes: Int
  /// What leaves the Neural Engine, the most work first.
  public let misses: [Miss]
  /// What else keeps a package off it.
  public let notes: [String]
  /// By chip, at its published rates: no prediction is faster. In JSON, milliseconds.
  public let roofline: [String: Duration]

  /// The share of floating-point operations that break no rule, 0 to 1; 1 where there are none.
  public var share: Double { flops > 0 ? Double(cleanFlops) / Double(flops) : 1 }

  /// Weights of a package, as float16 bytes before compression, that devices have loaded reliably.
  private static let mostChunkBytes = 1_000_000_000

  /// Holds every operation of a package's `main` to the rules. Throws `BackendError` where there is no package, or one that
  /// is damaged or no ML Program.
  public init(package: URL) throws {
    let functions: [ProgramFunction]?
    do {
      let file = try PackageFiles(package: package).specificationURL()
      functions = try ProgramFunction.all(parsing: [UInt8](Data(contentsOf: file)))
    } catch {
      throw BackendError.unreadable(package, error)
    }
    guard let function = functions?.first else {
      throw BackendError.failed(
        backend: .coreml, kind: .unsupported,
        message: "\(package.path) holds no ML Program: only packages of that kind are read")
    }
    self.init(function)
  }

  init(_ function: ProgramFunction) {
    let rules = NeuralEngineRules(function: function)
    let counted = function.operations.filter { !$0.kind.hasPrefix("constexpr_") }
    var (total, clean, segments, isOnEngine) = (0, 0, 0, false)
    var groups: [[String]: Miss] = [:]
    for operation in counted {
      let work = function.floatingPointOperations(operation)
      total = Count.sum([total, work])
      guard let complaint = rules.complaint(operation) else {
        clean = Count.sum([clean, work])
        if !isOnEngine { segments += 1 }
        isOnEngine = true
        continue
      }
      isOnEngine = false
      let key = [complaint.rule, operation.kind, complaint.reason]
      var miss =
        groups[key]
        ?? Miss(
          rule: complaint.rule, op: operation.kind, reason: complaint.reason, count: 0, flops: 0,
          place: operation.place)
      miss.count += 1
      miss.flops = Count.sum([miss.flops, work])
      groups[key] = miss
    }
    (ops, flops, cleanFlops, self.segments) = (counted.count, total, clean, segments)
    (weightBytes, parameters) = function.weights
    valueBytes = Count.sum(counted.map(function.valueBytes))
    paddingBytes = Count.sum(
      function.operations.flatMap(\.outputTensors).filter(\.isFloatingPoint).map(NeuralEngineRules.padding))
    misses = groups.values.sorted {
      ($1.flops, $0.rule, $0.op, $0.reason) < ($0.flops, $1.rule, $1.op, $1.reason)
    }
    notes = Self.notes(parameters: parameters)
    let stored = weightBytes
    roofline = NeuralEngineChip.all.reduce(into: [:]) {
      $0[$1.name] = $1.duration(operations: total, weightBytes: stored)
    }
  }

  private static func notes(parameters: Int) -> [String] {
    let size = Count.product([2, parameters])
    guard size > mostChunkBytes else { return [] }
    let hundredths = (size + 5_000_000) / 10_000_000
    let text = "\(hundredths / 100).\(hundredths / 10 % 10)\(hundredths % 10) GB"
    return [
      "\(text) of weights before compression in one package: above \(mostChunkBytes / 1_000_000_000) GB devices fail to "
        + "load or to compile it"
    ]
  }
}

extension NeuralEngineForecast: Encodable {
  private enum CodingKeys: String, CodingKey {
    case forecast, ops, flops, segments, parameters, misses, notes, roofline
    case cleanShare = "clean_share"
    case cleanFlops = "clean_flops"
    case weightBytes = "weight_bytes"
    case valueBytes = "value_bytes"
    case paddingBytes = "padding_bytes"
  }

  /// The keys of Python's report, marked as a forecast.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(true, forKey: .forecast)
    try values.encode(share, forKey: .cleanShare)
    try values.encode(ops, forKey: .ops)
    try values.encode(flops, forKey: .flops)
    try values.encode(cleanFlops, forKey: .cleanFlops)
    try values.encode(segments, forKey: .segments)
    try values.encode(parameters, forKey: .parameters)
    try values.encode(weightBytes, forKey: .weightBytes)
    try values.encode(valueBytes, forKey: .valueBytes)
    try values.encode(paddingBytes, forKey: .paddingBytes)
    try values.encode(misses, forKey: .misses)
    try values.encode(notes, forKey: .notes)
    try values.encode(roofline.mapValues { 1000 * $0.seconds }, forKey: .roofline)
  }
}

/// A chip with a Neural Engine, as Apple announced it: float16 operations a second and bytes a second from memory. Apple
/// counts int8 operations from the A17 Pro and the M4 on; float16 runs at half of that.
package struct NeuralEngineChip: Sendable {
  package let name: String
  let operations: Double
  let bandwidth: Double

  package static let all = [
    NeuralEngineChip(name: "A17 Pro", operations: 17.5e12, bandwidth: 51.2e9),
    NeuralEngineChip(name: "M1", operations: 11e12, bandwidth: 68.25e9),
    NeuralEngineChip(name: "M2", operations: 15.8e12, bandwidth: 100e9),
    NeuralEngineChip(name: "M3", operations: 18e12, bandwidth: 100e9),
    NeuralEngineChip(name: "M4", operations: 19e12, bandwidth: 120e9),
  ]

  /// The longer of computing at the peak rate and reading the weights once.
  func duration(operations count: Int, weightBytes: Int) -> Duration {
    .seconds(max(Double(count) / operations, Double(weightBytes) / bandwidth))
  }
}

extension ProgramFunction {
  /// Bytes in the weight file, and the parameters that they stand for.
  fileprivate var weights: (bytes: Int, parameters: Int) {
    let stored = constants.compactMap { name, constant in
      constant.isStored ? constant.tensor.map { (name: name, tensor: $0) } : nil
    }
    let compressed = operations.filter { $0.kind.hasPrefix("constexpr_") }
    let consumed = Set(compressed.flatMap { $0.inputs.flatMap(\.values) })
    let plain = stored.filter { !consumed.contains($0.name) }.map(\.tensor.elements)
    let expanded = compressed.flatMap(\.outputTensors).map(\.elements)
    return (Count.sum(stored.map(\.tensor.bytes)), Count.sum(plain + expanded))
  }

  /// Bytes of the activations that an operation reads and writes.
  fileprivate func valueBytes(_ operation: ProgramOperation) -> Int {
    let names = Set(operation.inputs.flatMap(\.values)).filter { constants[$0] == nil }
    return Count.sum(names.compactMap { tensors[$0]?.bytes } + operation.outputTensors.map(\.bytes))
  }
}
