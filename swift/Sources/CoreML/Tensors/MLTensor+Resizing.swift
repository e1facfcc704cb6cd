extension MLTensor {
  /// How pictures are brought to another size.
  public enum ResizeMethod: Hashable, Sendable, CustomStringConvertible {
    /// Between the four pixels around. With `alignCorners`, the centres of the corners stay where they are; without, the
    /// edges of the pictures do.
    case bilinear(alignCorners: Bool = false)
    /// The pixel whose area the new one begins in.
    case nearestNeighbor

    /// The method's name and setting.
    public var description: String {
      switch self {
      case .bilinear(let alignCorners): "bilinear(alignCorners: \(alignCorners))"
      case .nearestNeighbor: "nearestNeighbor"
      }
    }

    /// The two pixels of a row of `extent` that each pixel of the new row lies between, and the share of the second.
    fileprivate func sources(_ extent: Int, _ target: Int) -> [(low: Int, high: Int, share: Double)] {
      (0..<target).map { place in
        switch self {
        case .nearestNeighbor:
          let nearest = Swift.min(place * extent / target, extent - 1)
          return (nearest, nearest, 0)
        case .bilinear(let alignCorners):
          let position =
            alignCorners
            ? (target > 1 ? Double(place) * Double(extent - 1) / Double(target - 1) : 0)
            : Swift.max((Double(place) + 0.5) * Double(extent) / Double(target) - 0.5, 0)
          let low = Swift.min(Int(position), extent - 1)
          return (low, Swift.min(low + 1, extent - 1), position - Double(low))
        }
      }
    }
  }

  /// The last two axes, height and width, brought to another size, which must be positive. The shape is [batch, channels,
  /// height, width] or [channels, height, width].
  public func resized(
    to size: (newHeight: Int, newWidth: Int), method: ResizeMethod = .nearestNeighbor
  ) -> MLTensor {
    precondition(rank == 3 || rank == 4, "the shape \(shape) is none of pictures, which has three or four axes")
    precondition(size.newHeight > 0 && size.newWidth > 0, "\(size.newHeight) × \(size.newWidth) is no size")
    let (height, width) = (shape[rank - 2], shape[rank - 1])
    precondition(height > 0 && width > 0, "the shape \(shape) has no pixels")
    let rows = method.sources(height, size.newHeight)
    let columns = method.sources(width, size.newWidth)
    let own = values
    var results: [Double] = []
    results.reserveCapacity(scalarCount / (height * width) * size.newHeight * size.newWidth)
    for start in stride(from: 0, to: own.count, by: height * width) {
      for row in rows {
        let (top, bottom) = (start + row.low * width, start + row.high * width)
        for column in columns {
          let above = Self.between(own[top + column.low], own[top + column.high], column.share)
          let below = Self.between(own[bottom + column.low], own[bottom + column.high], column.share)
          results.append(Self.between(above, below, row.share))
        }
      }
    }
    return MLTensor(
      values: results, shape: shape.dropLast(2) + [size.newHeight, size.newWidth], tensor.elementType)
  }

  /// A neighbour without a share does not count, infinite or not.
  private static func between(_ low: Double, _ high: Double, _ share: Double) -> Double {
    share == 0 ? low : low * (1 - share) + high * share
  }
}
