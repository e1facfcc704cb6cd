#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What a prediction cost. Core ML tells no more than the seconds.
public struct PredictionStatistics: Sendable, Equatable, Codable {
  /// All calls of one kind of op.
  public struct Operation: Sendable, Equatable, Codable {
    /// How often ops of this kind ran.
    public let calls: Int
    /// The sum of their times.
    public let seconds: Double
    /// Of the results.
    public let bytes: Int

    /// Calls of one kind of op.
    public init(calls: Int, seconds: Double, bytes: Int) {
      self.calls = calls
      self.seconds = seconds
      self.bytes = bytes
    }

    /// The calls of both.
    package static func + (left: Operation, right: Operation) -> Operation {
      Operation(
        calls: left.calls + right.calls, seconds: left.seconds + right.seconds, bytes: left.bytes + right.bytes)
    }
  }

  /// The prediction's time.
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
    case seconds
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
    seconds = try values.decode(Double.self, forKey: .seconds)
    operations = try values.decodeIfPresent([String: Operation].self, forKey: .operations) ?? [:]
    peakLiveBytes = try values.decodeIfPresent(Int.self, forKey: .peakLiveBytes)
    peakAllocatedBytes = try values.decodeIfPresent(Int.self, forKey: .peakAllocatedBytes)
    weightBytes = try values.decodeIfPresent(Int.self, forKey: .weightBytes)
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
