import Foundation

/// Small pictures of latents without a decoder: a 3 × 3 convolution gives every latent pixel 2 × 2 pixels
/// (docs/bundle_format.md, Previews).
///
/// Shape key: C, h, w the latent, k the kernel's side, p pixels a latent pixel.
struct LatentProjection: Sendable, Equatable {
  /// k, odd.
  let kernel: Int
  /// p
  let pixels: Int
  let channels: Int
  /// [3·p², C·k²]: row (colour·p + row)·p + column is that colour of a pixel of the square.
  let weight: [Float]
  /// [3·p²]
  let bias: [Float]

  init(kernel: Int, pixels: Int, channels: Int, weight: [Float], bias: [Float]) {
    self.kernel = kernel
    self.pixels = pixels
    self.channels = channels
    self.weight = weight
    self.bias = bias
  }

  /// Reads a bundle's file: `weight` [3·p², C, k, k] and `bias` [3·p²]. Throws `BundleError.damagedTensors`.
  init(_ file: URL, channels: Int) throws {
    let tensors = try Safetensors(file).tensors
    let (weight, bias) = (tensors["weight"], tensors["bias"])
    let pixels = Int(Double((bias?.count ?? 0) / 3).squareRoot())
    guard let weight, let bias, weight.shape.count == 4, weight.shape[1] == channels,
      weight.shape[2] == weight.shape[3], !weight.shape[3].isMultiple(of: 2), bias.shape == [3 * pixels * pixels],
      pixels > 0, weight.shape[0] == bias.count
    else {
      throw BundleError.damagedTensors(
        file: file.path,
        reason: "it holds a weight of shape \(weight?.shape ?? []) and a bias of shape \(bias?.shape ?? []), expected "
          + "[3·p², \(channels), k, k] with an odd k, and [3·p²]; fit it again with verify --previews")
    }
    self.init(
      kernel: weight.shape[3], pixels: pixels, channels: channels, weight: weight.floats(), bias: bias.floats())
  }

  /// The latents, [1, C, h, w], as a picture of w·p × h·p pixels; nil for latents of another kind.
  func image(_ latents: Tensor) -> RGBImage? {
    guard latents.shape.count == 4, latents.shape[1] == channels else { return nil }
    let (height, width) = (latents.shape[2], latents.shape[3])
    let patches = LatentPatches(latents.floats(), channels: channels, height: height, width: width, kernel: kernel)
    let (rows, columns) = (height * pixels, width * pixels)
    var colours = [Float](repeating: 0, count: 3 * rows * columns)
    for y in 0..<height {
      for x in 0..<width {
        let patch = patches.values(x, y)
        for output in bias.indices {
          var sum = bias[output]
          for (index, value) in patch.enumerated() { sum += weight[output * patch.count + index] * value }
          let (colour, row, column) = (output / (pixels * pixels), output / pixels % pixels, output % pixels)
          colours[(colour * rows + y * pixels + row) * columns + x * pixels + column] = sum
        }
      }
    }
    return (try? Tensor(shape: [1, 3, rows, columns], floats: colours)).flatMap(RGBImage.init(decoded:))
  }
}

/// Every latent pixel's neighbours, edges repeated.
struct LatentPatches {
  private let latents: [Float]
  private let channels: Int
  private let height: Int
  private let width: Int
  private let kernel: Int

  init(_ latents: [Float], channels: Int, height: Int, width: Int, kernel: Int) {
    (self.latents, self.channels, self.height, self.width, self.kernel) = (latents, channels, height, width, kernel)
  }

  /// [C, k, k], row-major.
  func values(_ x: Int, _ y: Int) -> [Float] {
    let margin = kernel / 2
    let columns = (x - margin...x + margin).map { min(max($0, 0), width - 1) }
    let rows = (y - margin...y + margin).map { min(max($0, 0), height - 1) * width }
    var values: [Float] = []
    values.reserveCapacity(channels * kernel * kernel)
    for channel in 0..<channels {
      for row in rows { for column in columns { values.append(latents[channel * height * width + row + column]) } }
    }
    return values
  }
}
