#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What a prediction cost. Core ML tells no more than the time.
public struct PredictionStatistics: Sendable, Equatable, Codable {
  /// All calls of one kind of op.
  public struct Operation: Sendable, Equatable, Codable {
    /// How often ops of this kind ran.
    public let calls: Int
    /// The sum of their times.
    public let duration: Duration
    /// Of the results.
    public let bytes: Int

    private enum CodingKeys: String, CodingKey {
      case calls, bytes
      case duration = "seconds"
    }

    /// Calls of one kind of op.
    public init(calls: Int, duration: Duration, bytes: Int) {
      self.calls = calls
      self.duration = duration
      self.bytes = bytes
    }

    public init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      calls = try values.decode(Int.self, forKey: .calls)
      duration = try values.decodeSeconds(forKey: .duration)
      bytes = try values.decode(Int.self, forKey: .bytes)
    }

    public func encode(to encoder: any Encoder) throws {
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(calls, forKey: .calls)
      try values.encode(secondsOf: duration, forKey: .duration)
      try values.encode(bytes, forKey: .bytes)
    }

    /// The calls of both.
    package static func + (left: Operation, right: Operation) -> Operation {
      Operation(
        calls: left.calls + right.calls, duration: left.duration + right.duration, bytes: left.bytes + right.bytes)
    }
  }

  /// The prediction's time.
  public private(set) var duration: Duration
  /// By kind of op; empty where the backend cannot tell.
  public private(set) var operations: [String: Operation]
  /// The most bytes that values in use took at once.
  public private(set) var peakLiveBytes: Int?
  /// The most bytes that the engine held at once, caches included.
  public private(set) var peakAllocatedBytes: Int?
  /// Of the model's weights.
  public private(set) var weightBytes: Int?

  private enum CodingKeys: String, CodingKey {
    case duration = "seconds"
    case operations = "ops"
    case peakLiveBytes = "peak_live_bytes"
    case peakAllocatedBytes = "peak_allocated_bytes"
    case weightBytes = "weight_bytes"
  }

  /// Statistics of one prediction.
  public init(duration: Duration, operations: [String: Operation] = [:]) {
    self.duration = duration
    self.operations = operations
  }

  /// Reads the C ABI's JSON; nil for one that says nothing.
  init?(json: String) {
    guard let read = try? JSONDecoder().decode(Self.self, from: Data(json.utf8)) else { return nil }
    self = read
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    duration = try values.decodeSeconds(forKey: .duration)
    operations = try values.decodeIfPresent([String: Operation].self, forKey: .operations) ?? [:]
    peakLiveBytes = try values.decodeIfPresent(Int.self, forKey: .peakLiveBytes)
    peakAllocatedBytes = try values.decodeIfPresent(Int.self, forKey: .peakAllocatedBytes)
    weightBytes = try values.decodeIfPresent(Int.self, forKey: .weightBytes)
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(secondsOf: duration, forKey: .duration)
    if !operations.isEmpty { try values.encode(operations, forKey: .operations) }
    try values.encodeIfPresent(peakLiveBytes, forKey: .peakLiveBytes)
    try values.encodeIfPresent(peakAllocatedBytes, forKey: .peakAllocatedBytes)
    try values.encodeIfPresent(weightBytes, forKey: .weightBytes)
  }
}

extension PredictionOptions {
  /// Runs `body`, for a backend that knows no more than how long it took.
  func timed<Result>(_ body: () throws -> Result) rethrows -> Result {
    guard let onStatistics else { return try body() }
    let clock = ContinuousClock()
    let start = clock.now
    let result = try body()
    onStatistics(PredictionStatistics(duration: clock.now - start))
    return result
  }
}
