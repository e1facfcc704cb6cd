import Tintype

/// What every package is required to have on the Neural Engine, and what each has, between 0 and 1.
struct Requirement: Encodable {
  /// Where the shares come from.
  enum Source: String, Encodable {
    /// Floating-point operations that break no rule.
    case forecast
    /// Core ML's estimated cost on this system.
    case computePlan = "compute_plan"
  }

  let share: Double
  let of: Source
  let shares: [String: Double]
  /// The packages that have less, in order.
  let below: [String]

  private enum CodingKeys: String, CodingKey {
    case share, of, shares, below, passed
  }

  /// Costs that should add up to 1 may miss it by this.
  private static let rounding = 1e-6

  init(share: Double, of source: Source, shares: [String: Double], order: [String]) {
    (self.share, of, self.shares) = (share, source, shares)
    let least = source == .computePlan ? share - Self.rounding : share
    below = order.filter { shares[$0].map { $0 < least } ?? false }
  }

  func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(share, forKey: .share)
    try values.encode(of, forKey: .of)
    try values.encode(shares, forKey: .shares)
    try values.encode(below, forKey: .below)
    try values.encode(below.isEmpty, forKey: .passed)
  }

  /// Throws `TooLittle` where a package has less.
  func check() throws {
    if !below.isEmpty { throw TooLittle(requirement: self) }
  }

  /// Packages that would run elsewhere.
  struct TooLittle: Error, CustomStringConvertible {
    let requirement: Requirement

    var description: String {
      let rows = requirement.below.map { "\($0) \(percentText(requirement.shares[$0] ?? 0))" }.joined(separator: ", ")
      let source = requirement.of == .computePlan ? "Core ML's compute plan" : "forecast"
      return "on the Neural Engine (\(source)): \(rows), expected at least \(shortNumber(100 * requirement.share)) %"
    }
  }
}

/// A share as a percentage that is 100 only where nothing is left out.
func percentText(_ share: Double) -> String {
  share == 1 ? "100 %" : "\(decimals(min(100 * share, 99.9999), 4)) %"
}
