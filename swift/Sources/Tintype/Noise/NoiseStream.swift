/// The noise that the pictures of a run begin with, one after the other: the seed's stream continues from picture to
/// picture.
struct NoiseStream: Sendable {
  private let shape: [Int]
  private var source: Source

  private enum Source: Sendable {
    case given(Tensor)
    case drawn(any NormalGenerator)
  }

  /// The caller's own noise, float32 of the latent's shape.
  init(_ given: Tensor) { (shape, source) = (given.shape, .given(given)) }

  init(_ generator: NoiseGenerator, seed: UInt32, shape: [Int]) {
    (self.shape, source) = (shape, .drawn(generator(seed: seed)))
  }

  /// Standard normal numbers in row-major order, rounded to float32.
  mutating func next() throws -> Tensor {
    switch source {
    case .given(let noise): return noise
    case .drawn(var generator):
      let values = generator.normals(shape.reduce(1, *)).map { Float($0) }
      source = .drawn(generator)
      return try Tensor(shape: shape, floats: values)
    }
  }
}
