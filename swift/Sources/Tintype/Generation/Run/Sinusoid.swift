import Foundation

/// The features of a timestep, and of an embedded guidance scale, that the modulation takes: [cos(t·f), sin(t·f)] of
/// 128 frequencies (docs/bundle_format.md; Python's are in python/tintype/sinusoid.py).
///
/// diffusers' `Timesteps` with flip_sin_to_cos and no frequency shift, whose angles are float32. Cosines and sines are
/// float64's, rounded once: the same on every machine.
enum Sinusoid {
  /// Features of a number: a cosine and a sine for each frequency.
  static let width = 256
  /// The largest guidance scale whose angles float32 holds.
  static let mostGuidance = 1e35

  /// 10000^(−i / 128) for i < 128; the exponents are rounded step by step as diffusers does it.
  static let frequencies: [Float] = {
    let half = width / 2
    return (0..<half).map { Float(exp(Double(Float(-log(10000.0)) * Float($0) / Float(half)))) }
  }()

  /// Those of a timestep, in every row: float32 [rows, 256].
  static func features(timestep: Float, rows: Int) throws -> Tensor {
    let angles = frequencies.map { Double(timestep * $0) }
    let waves = angles.map { Float(cos($0)) } + angles.map { Float(sin($0)) }
    return try Tensor(shape: [rows, width], floats: (0..<rows).flatMap { _ in waves })
  }

  /// Those of a guidance scale, at most `mostGuidance`: float32 [rows, 256]. FLUX embeds it times 1000, as it does σ.
  static func features(guidanceScale: Float, rows: Int) throws -> Tensor {
    try features(timestep: guidanceScale * 1000, rows: rows)
  }
}
