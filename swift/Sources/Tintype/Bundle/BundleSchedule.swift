extension BundleDescriptor {
  /// The noise schedule. `shift` is the static shift s of flow matching, `dynamic` what takes its place.
  public struct Schedule: Codable, Sendable, Equatable {
    /// How noise levels are spaced.
    public let kind: Kind
    /// The static shift s: σ = s·τ / (1 + (s − 1)·τ).
    public let shift: Double
    /// T: a model is told σ·T as the timestep.
    public let trainTimesteps: Int
    /// Only where `kind` is `.dynamic`.
    public let dynamic: DynamicShift?

    private enum CodingKeys: String, CodingKey {
      case kind, shift
      case trainTimesteps = "num_train_timesteps"
    }

    public init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      kind = try values.decode(Kind.self, forKey: .kind)
      shift = try values.decode(Double.self, forKey: .shift)
      trainTimesteps = try values.decode(Int.self, forKey: .trainTimesteps)
      dynamic = kind == .dynamic ? try DynamicShift(from: decoder) : nil
    }

    public func encode(to encoder: any Encoder) throws {
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(kind, forKey: .kind)
      try values.encode(shift, forKey: .shift)
      try values.encode(trainTimesteps, forKey: .trainTimesteps)
      try dynamic?.encode(to: encoder)
    }
  }

  /// How the shift grows with the image: linear in its tokens between two points.
  public struct DynamicShift: Codable, Sendable, Equatable {
    /// μ at `baseImageTokens`.
    public let baseShift: Double
    /// μ at `maxImageTokens`.
    public let maxShift: Double
    /// The smaller picture, in tokens.
    public let baseImageTokens: Int
    /// The larger picture, in tokens.
    public let maxImageTokens: Int

    enum CodingKeys: String, CodingKey {
      case baseShift = "base_shift"
      case maxShift = "max_shift"
      case baseImageTokens = "base_image_seq_len"
      case maxImageTokens = "max_image_seq_len"
    }

    /// μ for an image of so many tokens.
    func callAsFunction(tokens: Int) -> Double {
      let slope = (maxShift - baseShift) / Double(maxImageTokens - baseImageTokens)
      return Double(tokens) * slope + baseShift - slope * Double(baseImageTokens)
    }
  }

  /// The schedule of so many steps.
  func noiseSchedule(steps: Int) -> FlowMatchSchedule {
    let shift: FlowMatchSchedule.Shift
    if let dynamic = schedule.dynamic {
      // Two by two latent pixels make a token.
      shift = .exponential(mu: dynamic(tokens: latent.height * latent.width / 4))
    } else {
      shift = .fixed(schedule.shift)
    }
    return FlowMatchSchedule(
      steps: steps, shift: shift, spacing: schedule.kind == .euler ? .trained : .even,
      trainTimesteps: schedule.trainTimesteps)
  }
}
