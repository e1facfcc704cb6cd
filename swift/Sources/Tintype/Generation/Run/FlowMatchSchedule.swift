import Foundation

/// The noise levels of flow matching with Euler steps (diffusers' `FlowMatchEulerDiscreteScheduler`).
///
/// `sigmas` has one entry more than there are steps, the last is 0; a step goes x ← x + (σ_next − σ)·v, and the model
/// is told timestep = 1000·σ. Computed in float64, rounded once to float32.
public struct FlowMatchSchedule: Sendable, Equatable {
  /// Noise levels from noise to picture, the last one 0: one more than there are steps.
  public let sigmas: [Float]
  /// What the model is told at each step: σ times the number of training timesteps.
  public let timesteps: [Float]

  /// How noise levels are moved towards the noisy end.
  public enum Shift: Sendable, Equatable {
    /// σ = s·τ / (1 + (s − 1)·τ)
    case fixed(Double)
    /// σ = e^μ / (e^μ + (1/τ − 1)), μ from the number of image tokens (FLUX.1)
    case exponential(mu: Double)

    func callAsFunction(_ tau: Double) -> Double {
      switch self {
      case .fixed(let shift): return shift * tau / (1 + (shift - 1) * tau)
      case .exponential(let mu): return exp(mu) / (exp(mu) + (1 / tau - 1))
      }
    }

    /// An end point of training, which diffusers shifts in float32. The exponential shift leaves them alone.
    func end(_ tau: Float) -> Double {
      guard case .fixed(let shift) = self else { return Double(tau) }
      return Double(Float(shift) * tau / (1 + Float(shift - 1) * tau))
    }
  }

  /// Where the unshifted levels lie.
  public enum Spacing: Sendable, Equatable {
    /// Evenly between the shifted ends of training, σ(1) and σ(1/T), and shifted again (Stable Diffusion 3).
    case trained
    /// Evenly from 1 to 1/N (FLUX.1).
    case even
  }

  /// - Parameters:
  ///   - steps: how many Euler steps, at least 1.
  ///   - trainTimesteps: T, the number of training timesteps.
  public init(steps: Int, shift: Shift, spacing: Spacing = .trained, trainTimesteps: Int = 1000) {
    let steps = max(1, steps)
    let train = Double(trainTimesteps)
    let points: [Double]
    switch spacing {
    case .trained:
      points = Self.linear(from: shift.end(1) * train, to: shift.end(1 / Float(trainTimesteps)) * train, steps)
        .map { $0 / train }
    case .even:
      points = Self.linear(from: 1, to: 1 / Double(steps), steps)
    }
    let levels = points.map { Float(shift($0)) }
    sigmas = levels + [0]
    timesteps = levels.map { $0 * Float(trainTimesteps) }
  }

  private init(sigmas: [Float], timesteps: [Float]) {
    self.sigmas = sigmas
    self.timesteps = timesteps
  }

  /// The schedule without its first steps.
  func dropping(_ steps: Int) -> FlowMatchSchedule {
    FlowMatchSchedule(sigmas: Array(sigmas.dropFirst(steps)), timesteps: Array(timesteps.dropFirst(steps)))
  }

  /// `numpy.linspace`: the last point is exactly `last`, a single one is `first`.
  private static func linear(from first: Double, to last: Double, _ count: Int) -> [Double] {
    guard count > 1 else { return [first] }
    let step = (last - first) / Double(count - 1)
    return (0..<count - 1).map { Double($0) * step + first } + [last]
  }
}
