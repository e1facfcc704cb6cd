/// Numbers as people read them. (`String(format:)` would pull in all of the system's localisation.)

/// 5 for 5.0, 4.5 for 4.5.
func shortNumber(_ value: Double) -> String {
  Int(exactly: value).map(String.init) ?? "\(value)"
}

/// A number with a fixed count of decimals.
func decimals(_ value: Double, _ count: Int) -> String {
  guard value.isFinite else { return "\(value)" }
  let scale = (0..<count).reduce(1.0) { scale, _ in scale * 10 }
  guard let scaled = Int(exactly: (value.magnitude * scale).rounded()) else { return "\(value)" }
  let digits = String(scaled)
  let padded = String(repeating: "0", count: max(0, count + 1 - digits.count)) + digits
  let sign = value < 0 && scaled > 0 ? "-" : ""
  return sign + padded.dropLast(count) + (count > 0 ? "." + padded.suffix(count) : "")
}

/// 12.3 MB
func bytesText(_ count: Int) -> String {
  let units = ["kB", "MB", "GB"]
  guard count >= 1000 else { return "\(count) B" }
  var value = Double(count) / 1000
  var index = 0
  while value >= 1000, index < units.count - 1 {
    value /= 1000
    index += 1
  }
  return "\(decimals(value, 1)) \(units[index])"
}

/// 1.23 M
func countText(_ count: Int) -> String {
  for (limit, unit) in [(1_000_000_000, "G"), (1_000_000, "M"), (1000, "k")] where count >= limit {
    return "\(decimals(Double(count) / Double(limit), 2)) \(unit)"
  }
  return "\(count)"
}
