extension MLTensor {
  /// What surrounds a padded tensor.
  public enum PaddingMode: Hashable, Sendable, CustomStringConvertible {
    /// The same number everywhere.
    case constant(Float)
    /// The tensor's own scalars, mirrored at the outermost ones, which are not repeated.
    case reflection
    /// The tensor's own scalars, mirrored behind the outermost ones, which are repeated.
    case symmetric

    /// The mode's name, and the number.
    public var description: String {
      switch self {
      case .constant(let value): "constant(\(value))"
      case .reflection: "reflection"
      case .symmetric: "symmetric"
      }
    }

    /// Where the scalar at `place` of an axis, counted from the tensor's first one, comes from; nil: the constant.
    fileprivate func source(of place: Int, extent: Int) -> Int? {
      if (0..<extent).contains(place) { return place }
      func wrapped(_ period: Int) -> Int { ((place % period) + period) % period }
      switch self {
      case .constant: return nil
      case .reflection:
        // One scalar has nothing beyond itself to mirror.
        if extent == 1 { return 0 }
        let place = wrapped(2 * extent - 2)
        return place < extent ? place : 2 * extent - 2 - place
      case .symmetric:
        let place = wrapped(2 * extent)
        return place < extent ? place : 2 * extent - 1 - place
      }
    }
  }

  /// Surrounded by a constant. There is one pair of sizes an axis.
  public func padded(forSizes sizes: [(before: Int, after: Int)], with value: Float) -> MLTensor {
    padded(forSizes: sizes, mode: .constant(value))
  }

  /// Surrounded by what the mode says. There is one pair of sizes an axis. Sizes beyond the tensor's own are filled by
  /// mirroring again.
  public func padded(forSizes sizes: [(before: Int, after: Int)], mode: PaddingMode) -> MLTensor {
    precondition(sizes.count == rank, "\(sizes.count) pairs of sizes for the shape \(shape)")
    precondition(sizes.allSatisfy { $0.before >= 0 && $0.after >= 0 }, "a size of \(sizes) is negative")
    var places: [Int?] = [0]
    for (axis, size) in sizes.enumerated() {
      let extent = shape[axis]
      if case .constant = mode {} else { precondition(extent > 0, "the shape \(shape) has no scalars to mirror") }
      let sources = (-size.before..<extent + size.after).map { mode.source(of: $0, extent: extent) }
      let stride = strides[axis]
      places = places.flatMap { place in
        sources.map { source in place.flatMap { place in source.map { place + $0 * stride } } }
      }
    }
    let constant: Double = if case .constant(let value) = mode { Double(value) } else { 0 }
    let own = values
    return MLTensor(
      values: places.map { $0.map { own[$0] } ?? constant },
      shape: zip(shape, sizes).map { $0 + $1.before + $1.after }, tensor.elementType)
  }
}
