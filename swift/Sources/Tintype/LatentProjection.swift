/// Colours for latents without a decoder: each latent pixel's channels, by a linear map, give one pixel.
///
/// The map is fitted by least squares to the bundle's own decoder, once: it decodes random latents, and every latent
/// pixel with the mean colour of the pixels that came of it is one observation. So any model has previews, its
/// latent space known or not.
struct LatentProjection: Sendable {
  /// Red, green and blue: a factor for each channel, and last a constant.
  let factors: [[Float]]

  /// The latents, [1, C, h, w], as a picture of w × h pixels.
  func image(_ latents: Tensor) -> RGBImage? {
    guard latents.shape.count == 4, latents.shape[1] + 1 == factors.first?.count else { return nil }
    let plane = latents.shape[2] * latents.shape[3]
    let values = latents.floats()
    var colours: [Float] = []
    colours.reserveCapacity(3 * plane)
    for row in factors {
      for pixel in 0..<plane {
        var sum = row[row.count - 1]
        for channel in 0..<row.count - 1 { sum += row[channel] * values[channel * plane + pixel] }
        colours.append(sum)
      }
    }
    let decoded = try? Tensor(shape: [1, 3, latents.shape[2], latents.shape[3]], floats: colours)
    return decoded.flatMap(RGBImage.init(decoded:))
  }

  /// Random latents to fit with: noise of three grains, so that smooth areas and edges both count.
  static func probe(_ latent: BundleDescriptor.Latent) throws -> Tensor {
    var random = PhiloxRandom(seed: UInt32(0))
    let (height, width) = (latent.height, latent.width)
    var values = [Float](repeating: 0, count: latent.channels * height * width)
    for grain in [1, 2, 4] {
      let (rows, columns) = ((height + grain - 1) / grain, (width + grain - 1) / grain)
      let noise = random.normals(latent.channels * rows * columns)
      for index in values.indices {
        let (channel, row, column) = (index / (height * width), index / width % height, index % width)
        let value = noise[(channel * rows + row / grain) * columns + column / grain]
        values[index] += Float(value / 3.0.squareRoot())
      }
    }
    return try Tensor(shape: latent.shape, floats: values)
  }

  /// - Parameters:
  ///   - latents: what was decoded, [1, C, h, w] in model space.
  ///   - decoded: what came of it, [1, 3, h·side, w·side].
  init(latents: Tensor, decoded: Tensor, side: Int) {
    let (channels, height, width) = (latents.shape[1], latents.shape[2], latents.shape[3])
    let plane = height * width
    let (values, pixels) = (latents.doubles(), decoded.floats())
    let unknowns = channels + 1
    var squares = [[Double]](repeating: [Double](repeating: 0, count: unknowns), count: unknowns)
    var products = [[Double]](repeating: [Double](repeating: 0, count: unknowns), count: 3)
    for pixel in 0..<plane {
      let row = (0..<channels).map { values[$0 * plane + pixel] } + [1]
      for (i, value) in row.enumerated() {
        for (j, other) in row.enumerated() { squares[i][j] += value * other }
      }
      for colour in 0..<3 {
        let mean = Self.mean(
          pixels, colour, row: pixel / width, column: pixel % width, side: side, size: (height, width))
        for (i, value) in row.enumerated() { products[colour][i] += value * mean }
      }
    }
    // A little damping keeps the map sane where a latent is too small for as many channels.
    for index in 0..<unknowns { squares[index][index] += 1e-3 * Double(plane) }
    factors = products.map { Self.solved(squares, $0).map { Float($0) } }
  }

  private static func mean(
    _ pixels: [Float], _ colour: Int, row: Int, column: Int, side: Int, size: (height: Int, width: Int)
  ) -> Double {
    var sum: Float = 0
    for y in row * side..<(row + 1) * side {
      let line = (colour * size.height * side + y) * size.width * side
      for x in column * side..<(column + 1) * side { sum += pixels[line + x] }
    }
    return Double(sum) / Double(side * side)
  }

  /// Gauss's elimination; the matrix is symmetric and positive definite, so no rows change places.
  private static func solved(_ matrix: [[Double]], _ right: [Double]) -> [Double] {
    var (rows, result) = (matrix, right)
    for pivot in rows.indices {
      for row in rows.indices where row > pivot {
        let factor = rows[row][pivot] / rows[pivot][pivot]
        for column in pivot..<rows.count { rows[row][column] -= factor * rows[pivot][column] }
        result[row] -= factor * result[pivot]
      }
    }
    for row in rows.indices.reversed() {
      for column in rows.indices where column > row { result[row] -= rows[row][column] * result[column] }
      result[row] /= rows[row][row]
    }
    return result
  }
}
