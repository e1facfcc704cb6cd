#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What predictions cost. Core ML tells no more than the seconds.
public struct PredictionStatistics: Sendable, Equatable, Codable {
  /// All calls of one kind of op.
  public struct Operation: Sendable, Equatable, Codable {
    public let calls: Int
    public let seconds: Double
    /// Of the results.
    public let bytes: Int

    /// Calls of one kind of op.
    public init(calls: Int, seconds: Double, bytes: Int) {
      self.calls = calls
      self.seconds = seconds
      self.bytes = bytes
    }
  }

  /// How many predictions these are.
  public private(set) var predictions = 1
  public private(set) var seconds: Double
  /// By kind of op; empty where the backend cannot tell.
  public private(set) var operations: [String: Operation]
  /// The most bytes that values in use took at once.
  public private(set) var peakLiveBytes: Int?
  /// The most bytes that the engine held at once, caches included.
  public private(set) var peakAllocatedBytes: Int?
  /// Of the model's weights.
  public private(set) var weightBytes: Int?

  private enum CodingKeys: String, CodingKey {
    case predictions, seconds
    case operations = "ops"
    case peakLiveBytes = "peak_live_bytes"
    case peakAllocatedBytes = "peak_allocated_bytes"
    case weightBytes = "weight_bytes"
  }

  /// Statistics of one prediction.
  public init(seconds: Double, operations: [String: Operation] = [:]) {
    self.seconds = seconds
    self.operations = operations
  }

  /// Reads the C ABI's JSON; nil for one that says nothing.
  init?(json: String) {
    guard let read = try? JSONDecoder().decode(Self.self, from: Data(json.utf8)) else { return nil }
    self = read
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    predictions = try values.decodeIfPresent(Int.self, forKey: .predictions) ?? 1
    seconds = try values.decode(Double.self, forKey: .seconds)
    operations = try values.decodeIfPresent([String: Operation].self, forKey: .operations) ?? [:]
    peakLiveBytes = try values.decodeIfPresent(Int.self, forKey: .peakLiveBytes)
    peakAllocatedBytes = try values.decodeIfPresent(Int.self, forKey: .peakAllocatedBytes)
    weightBytes = try values.decodeIfPresent(Int.self, forKey: .weightBytes)
  }

  /// Joins those of another prediction: times and calls are added, peaks are the larger ones.
  public mutating func add(_ other: PredictionStatistics) {
    func larger(_ left: Int?, _ right: Int?) -> Int? { [left, right].compactMap { $0 }.max() }
    predictions += other.predictions
    seconds += other.seconds
    operations.merge(other.operations) {
      Operation(calls: $0.calls + $1.calls, seconds: $0.seconds + $1.seconds, bytes: $0.bytes + $1.bytes)
    }
    peakLiveBytes = larger(peakLiveBytes, other.peakLiveBytes)
    peakAllocatedBytes = larger(peakAllocatedBytes, other.peakAllocatedBytes)
    weightBytes = larger(weightBytes, other.weightBytes)
  }
}

extension PredictionOptions {
  /// Runs `body`, for a backend that knows no more than how long it took.
  func timed<Result>(_ body: () throws -> Result) rethrows -> Result {
    guard let onStatistics else { return try body() }
    let clock = ContinuousClock()
    let start = clock.now
    let result = try body()
    onStatistics(PredictionStatistics(seconds: (clock.now - start).seconds))
    return result
  }
}
