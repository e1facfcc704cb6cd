/// What a map for previews is fitted with, the same in Python: pictures that go through the encoder, or noise where
/// there is none.
enum PreviewProbes {
  /// Probes are made until they have this many latent pixels: some for each of the unknowns.
  private static let observations = 2048
  /// Latent pixels that a picture has a shape for, on average.
  private static let shapeArea = 20
  /// Sides of the squares of one value in noise.
  private static let grains = [2, 4, 8]

  static func count(_ latent: BundleDescriptor.Latent) -> Int {
    (observations + latent.height * latent.width - 1) / (latent.height * latent.width)
  }

  /// Discs and rectangles in the eight colours of the cube's corners, float32 [1, 3, H, W] in −1…1.
  ///
  /// All comes from Philox's words, by integers: shape i of picture j is the counter (i, j, 0, 0) with key 0, the first
  /// of them covers all. Words are the centre's column and row, both half extents, and the colour with the kind.
  static func picture(_ number: Int, _ latent: BundleDescriptor.Latent) throws -> Tensor {
    let side = latent.downscale
    var canvas = Canvas(width: latent.width * side, height: latent.height * side)
    for shape in 0...max(1, latent.height * latent.width / shapeArea) {
      let words = PhiloxRandom.block([UInt32(shape), UInt32(number), 0, 0], key: (0, 0)).map { Int($0) }
      let colour = (0..<3).map { Float(2 * (words[3] >> $0 & 1) - 1) }
      if shape == 0 {
        canvas.fill(colour)
        continue
      }
      let half = [words[2] & 0xFFFF, words[2] >> 16].map { side / 2 + $0 % (9 * side / 2) }
      let isRound = words[3] >> 3 & 1 == 1
      canvas.paint(
        colour, x: words[0] % canvas.width, y: words[1] % canvas.height, right: half[0],
        down: isRound ? half[0] : half[1], isRound: isRound)
    }
    return try Tensor(shape: [1, 3, canvas.height, canvas.width], floats: canvas.values)
  }

  /// Noise of variance 1 in large squares of one value, float32 [1, C, h, w], one for each probe.
  static func latents(_ latent: BundleDescriptor.Latent) throws -> [Tensor] {
    var random = PhiloxRandom(seed: UInt32(0))
    let (height, width) = (latent.height, latent.width)
    return try (0..<count(latent)).map { _ in
      var total = [Double](repeating: 0, count: latent.channels * height * width)
      for grain in grains {
        let (rows, columns) = ((height + grain - 1) / grain, (width + grain - 1) / grain)
        let noise = random.normals(latent.channels * rows * columns)
        for index in total.indices {
          let (channel, row, column) = (index / (height * width), index / width % height, index % width)
          total[index] +=
            noise[(channel * rows + row / grain) * columns + column / grain] / Double(grains.count).squareRoot()
        }
      }
      return try Tensor(shape: latent.shape, floats: total.map { Float($0) })
    }
  }

  /// Three planes of colour.
  private struct Canvas {
    let width: Int
    let height: Int
    private(set) var values: [Float]

    init(width: Int, height: Int) {
      (self.width, self.height) = (width, height)
      values = [Float](repeating: 0, count: 3 * width * height)
    }

    mutating func fill(_ colour: [Float]) {
      values = colour.flatMap { [Float](repeating: $0, count: width * height) }
    }

    /// A rectangle of these half extents, or a disc of the first as its radius.
    mutating func paint(_ colour: [Float], x: Int, y: Int, right: Int, down: Int, isRound: Bool) {
      for row in max(y - down, 0)...min(y + down, height - 1) {
        for column in max(x - right, 0)...min(x + right, width - 1) {
          let distance = (column - x) * (column - x) + (row - y) * (row - y)
          if isRound, distance > right * right { continue }
          for channel in 0..<3 { values[(channel * height + row) * width + column] = colour[channel] }
        }
      }
    }
  }
}
