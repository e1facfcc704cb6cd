/// A source of standard normal numbers.
public protocol NormalGenerator: Sendable {
  /// The next `count` draws, in order.
  mutating func normals(_ count: Int) -> [Double]
}

/// Which generator the noise of a seed comes from: the same seed draws the same picture elsewhere only with the
/// generator that was used there.
public enum NoiseGenerator: String, Sendable, Codable, CaseIterable {
  /// NumPy's `RandomState`, as Python's Tintype, Apple's and DiffusionKit's pipelines use it: the default.
  case numpy
  /// PyTorch's CPU generator, as diffusers uses it with `torch.Generator("cpu")`.
  case torch
  /// Philox4x32-10, the algorithm behind PyTorch's CUDA generator.
  case philox

  /// A generator of this kind, from its seed.
  public func callAsFunction(seed: UInt32) -> any NormalGenerator {
    switch self {
    case .numpy: NumPyRandom(seed: seed)
    case .torch: TorchRandom(seed: seed)
    case .philox: PhiloxRandom(seed: seed)
    }
  }
}
