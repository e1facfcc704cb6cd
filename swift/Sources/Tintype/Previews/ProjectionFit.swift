/// The least squares behind a `LatentProjection`: it sees latents with what was decoded of them, one probe after the
/// other, and gives the convolution that comes closest.
struct ProjectionFit {
  private static let kernel = 3
  private static let pixels = 2
  /// Relative to latents of variance 1: keeps the map sane where channels say the same.
  private static let damping = 3e-3
  /// Rounded far above float64's errors, so that the order of sums does not show.
  private static let rounding = 0x1p14

  private let latent: BundleDescriptor.Latent
  private let pixels: Int
  private let unknowns: Int
  /// [unknowns, unknowns], the lower half.
  private var squares: [Double]
  /// [3·p², unknowns]
  private var products: [Double]

  init(_ latent: BundleDescriptor.Latent) {
    self.latent = latent
    pixels = latent.downscale.isMultiple(of: Self.pixels) ? Self.pixels : 1
    unknowns = latent.channels * Self.kernel * Self.kernel + 1
    squares = [Double](repeating: 0, count: unknowns * unknowns)
    products = [Double](repeating: 0, count: 3 * pixels * pixels * unknowns)
  }

  /// - Parameters:
  ///   - latents: [1, C, h, w] in model space.
  ///   - decoded: [1, 3, H, W], what came of them.
  mutating func add(latents: Tensor, decoded: Tensor) {
    let patches = LatentPatches(
      latents.floats(), channels: latent.channels, height: latent.height, width: latent.width, kernel: Self.kernel)
    let colours = decoded.floats()
    for y in 0..<latent.height {
      for x in 0..<latent.width {
        let row = patches.values(x, y).map { Double($0) } + [1]
        row.withUnsafeBufferPointer { row in
          squares.withUnsafeMutableBufferPointer { squares in
            for i in row.indices {
              let (value, start) = (row[i], i * row.count)
              for j in 0...i { squares[start + j] += value * row[j] }
            }
          }
        }
        for output in 0..<3 * pixels * pixels {
          let mean = self.mean(colours, output, x, y)
          for i in row.indices { products[output * unknowns + i] += row[i] * mean }
        }
      }
    }
  }

  /// The mean of a square of pixels, clipped as a picture is.
  private func mean(_ colours: [Float], _ output: Int, _ x: Int, _ y: Int) -> Double {
    let (colour, row, column) = (output / (pixels * pixels), output / pixels % pixels, output % pixels)
    let side = latent.downscale / pixels
    let (height, width) = (latent.height * latent.downscale, latent.width * latent.downscale)
    let (top, left) = (y * latent.downscale + row * side, x * latent.downscale + column * side)
    var sum = 0.0
    for line in top..<top + side {
      let start = (colour * height + line) * width + left
      for place in start..<start + side { sum += Double(min(max(colours[place], -1), 1)) }
    }
    return sum / Double(side * side)
  }

  func solved() -> LatentProjection {
    let constant = unknowns - 1
    var matrix = (0..<unknowns).map { i in
      (0..<unknowns).map { j in squares[max(i, j) * unknowns + min(i, j)] }
    }
    // The constant is free.
    for i in 0..<constant { matrix[i][i] += Self.damping * squares[constant * unknowns + constant] }
    let right = (0..<3 * pixels * pixels).map { Array(products[$0 * unknowns..<($0 + 1) * unknowns]) }
    let rows = Self.solved(matrix, right).map { row in
      row.map { Float(($0 * Self.rounding).rounded(.toNearestOrEven) / Self.rounding) }
    }
    return LatentProjection(
      kernel: Self.kernel, pixels: pixels, channels: latent.channels, weight: rows.flatMap { $0.dropLast() },
      bias: rows.map { $0[constant] })
  }

  /// Gauss's elimination for several right sides; the matrix is symmetric and positive definite, so no rows change
  /// places.
  private static func solved(_ matrix: [[Double]], _ right: [[Double]]) -> [[Double]] {
    var (rows, results) = (matrix, right)
    for pivot in rows.indices {
      for row in rows.indices where row > pivot {
        let factor = rows[row][pivot] / rows[pivot][pivot]
        if factor == 0 { continue }
        for column in pivot..<rows.count { rows[row][column] -= factor * rows[pivot][column] }
        for index in results.indices { results[index][row] -= factor * results[index][pivot] }
      }
    }
    for index in results.indices {
      for row in rows.indices.reversed() {
        for column in rows.indices where column > row {
          results[index][row] -= rows[row][column] * results[index][column]
        }
        results[index][row] /= rows[row][row]
      }
    }
    return results
  }
}
