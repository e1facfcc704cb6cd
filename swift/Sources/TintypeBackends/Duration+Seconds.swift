extension Duration {
  package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}

// Durations are seconds in JSON, as Python writes them.
extension KeyedEncodingContainer {
  package mutating func encode(secondsOf duration: Duration, forKey key: Key) throws {
    try encode(duration.seconds, forKey: key)
  }
}

extension KeyedDecodingContainer {
  package func decodeSeconds(forKey key: Key) throws -> Duration {
    let seconds = try decode(Double.self, forKey: key)
    // A duration of more ends the program.
    guard seconds.magnitude < 1e15 else {
      throw DecodingError.dataCorruptedError(
        forKey: key, in: self, debugDescription: "\(seconds) is not a number of seconds below 1e15")
    }
    return .seconds(seconds)
  }
}
