/// A picture that a run begins with instead of noise alone, and which part of it is drawn anew.
public struct ImageSource: Sendable, Equatable {
  /// Of the model's size, or of any with `resizing`.
  public var image: RGBImage
  /// White where the picture is drawn anew, black where it stays, of the picture's size; nil: all of it is drawn anew.
  public var mask: RGBImage?
  /// How picture and mask of another size become those of the model's; nil: another size is an error.
  public var resizing: Resizing?
  /// How far the picture may leave its source, above 0 up to 1: which share of the steps is run. 1 begins with noise
  /// alone.
  public var strength: Double

  /// The share of the steps that is run where the caller does not say.
  public static let defaultStrength = 0.6

  /// A picture to begin with.
  public init(
    _ image: RGBImage, mask: RGBImage? = nil, resizing: Resizing? = nil, strength: Double = defaultStrength
  ) {
    self.image = image
    self.mask = mask
    self.resizing = resizing
    self.strength = strength
  }

  /// The source with picture and mask of a size.
  func resized(to size: ImageSize) throws -> ImageSource {
    guard let resizing else { return self }
    var copy = self
    copy.image = try image.resized(to: size, resizing)
    copy.mask = try mask?.resized(to: size, resizing)
    return copy
  }

  /// Steps that are left out of `steps`, as diffusers' image-to-image pipelines count them.
  func firstStep(of steps: Int) -> Int {
    let run = min(Double(steps) * strength, Double(steps))
    return min(Int(max(Double(steps) - run, 0)), steps - 1)
  }
}

extension RGBImage {
  /// As a VAE's encoder reads it: float32 [1, 3, height, width], 2·x/255 − 1.
  func normalized() throws -> Tensor {
    let plane = width * height
    var values = [Float](repeating: 0, count: 3 * plane)
    for pixel in 0..<plane {
      for channel in 0..<3 { values[channel * plane + pixel] = 2 * (Float(bytes[3 * pixel + channel]) / 255) - 1 }
    }
    return try Tensor(shape: [1, 3, height, width], floats: values)
  }

  /// The mean brightness, 0…1, of every square of `side` pixels, in row-major order.
  func coverage(side: Int) -> [Float] {
    let (columns, rows) = (width / side, height / side)
    var sums = [Int](repeating: 0, count: columns * rows)
    for row in 0..<rows * side {
      for column in 0..<columns * side {
        let pixel = 3 * (row * width + column)
        sums[row / side * columns + column / side] += Int(bytes[pixel]) + Int(bytes[pixel + 1]) + Int(bytes[pixel + 2])
      }
    }
    return sums.map { Float($0) / Float(3 * 255 * side * side) }
  }
}

/// An image source in the model's latent space.
///
/// picture ─► VAE encoder ─► mean ─► (mean − shift)·scale ─► σ·noise + (1 − σ)·latent at every step's σ
struct LatentSource: Sendable {
  /// [C, h, w], row-major.
  let latents: [Float]
  /// [h, w]: 1 is drawn anew, 0 stays, what lies between is mixed; nil: all is drawn anew.
  let mask: [Float]?

  /// - Parameter moments: the encoder's output, [1, 2C, h, w]: all channels' means, then their log-variances.
  init(moments: Tensor, latent: BundleDescriptor.Latent, mask: RGBImage?) throws {
    let count = latent.shape.reduce(1, *)
    let expected = [1, 2 * latent.channels, latent.height, latent.width]
    guard moments.shape == expected else {
      throw PipelineError.shapeMismatch(
        what: "vae_encoder's output '\(BundleNames.moments)'", expected: expected, actual: moments.shape)
    }
    let (scale, shift) = (Float(latent.scale), Float(latent.shift))
    latents = moments.floats().prefix(count).map { ($0 - shift) * scale }
    self.mask = mask?.coverage(side: latent.downscale)
    if let found = self.mask?.count, found != latent.height * latent.width {
      throw PipelineError.shapeMismatch(
        what: "the mask's latent", expected: [latent.height, latent.width], actual: [found])
    }
  }

  /// The source under noise of level σ.
  func noised(_ noise: Tensor, sigma: Float) throws -> Tensor {
    try Tensor(shape: noise.shape, floats: zip(noise.floats(), latents).map { sigma * $0 + (1 - sigma) * $1 })
  }

  /// What a step has drawn inside the mask, the source at the step's noise level outside.
  func kept(around drawn: Tensor, noise: Tensor, sigma: Float) throws -> Tensor {
    guard let mask else { return drawn }
    let (drawn, source) = (drawn.floats(), try noised(noise, sigma: sigma).floats())
    let values = drawn.indices.map { index in
      let share = mask[index % mask.count]
      return (1 - share) * source[index] + share * drawn[index]
    }
    return try Tensor(shape: noise.shape, floats: values)
  }
}
