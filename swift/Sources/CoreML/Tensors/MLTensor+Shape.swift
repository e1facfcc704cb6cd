import TintypeMLX

extension MLTensor {
  /// A new tensor of the scalars at these places, in row-major order.
  func picking(_ places: [Int], shape: [Int]) -> MLTensor {
    let size = tensor.elementType.size
    return MLTensor(shape: shape, tensor.elementType) { target in
      tensor.withUnsafeBytes { source in
        guard let base = source.baseAddress, let output = target.baseAddress else { return }
        for (index, place) in places.enumerated() {
          (output + index * size).copyMemory(from: base + place * size, byteCount: size)
        }
      }
    }
  }

  /// The places of a view's scalars, in row-major order.
  static func places(_ shape: [Int], strides: [Int], from start: Int = 0) -> [Int] {
    var places = [start]
    for (extent, stride) in zip(shape, strides) {
      places = places.flatMap { place in (0..<extent).map { place + $0 * stride } }
    }
    return places
  }

  var strides: [Int] { TensorView.contiguousStrides(of: shape) }

  /// An axis counted from the front; negative ones count from the end.
  func position(of axis: Int, in rank: Int? = nil) -> Int {
    let rank = rank ?? self.rank
    let place = axis < 0 ? axis + rank : axis
    precondition((0..<rank).contains(place), "axis \(axis) is outside of the shape \(shape)")
    return place
  }

  /// The same scalars under another shape; one extent may be -1, for what the others leave.
  public func reshaped(to newShape: [Int]) -> MLTensor {
    var target = newShape
    if let free = target.firstIndex(of: -1) {
      let known = target.enumerated().reduce(1) { $1.offset == free ? $0 : $0 * $1.element }
      target[free] = known == 0 ? 0 : scalarCount / known
    }
    guard let result = try? tensor.reshaped(to: target) else {
      preconditionFailure("shape \(shape) cannot become \(newShape)")
    }
    return MLTensor(result)
  }

  /// As a vector.
  public func flattened() -> MLTensor { reshaped(to: [scalarCount]) }

  /// New axes of extent 1 at these places of the new shape.
  public func expandingShape(at axes: Int...) -> MLTensor { expandingShape(at: axes) }

  /// New axes of extent 1 at these places of the new shape.
  public func expandingShape(at axes: [Int]) -> MLTensor {
    let total = rank + axes.count
    let places = Set(axes.map { position(of: $0, in: total) })
    precondition(places.count == axes.count, "an axis is named twice: \(axes)")
    var rest = shape[...]
    return reshaped(to: (0..<total).map { places.contains($0) ? 1 : rest.removeFirst() })
  }

  /// Without the axes of extent 1.
  public func squeezingShape() -> MLTensor { reshaped(to: shape.filter { $0 != 1 }) }

  /// Without these axes, whose extent must be 1.
  public func squeezingShape(at axes: Int...) -> MLTensor { squeezingShape(at: axes) }

  /// Without these axes, whose extent must be 1.
  public func squeezingShape(at axes: [Int]) -> MLTensor {
    let places = Set(axes.map { position(of: $0) })
    precondition(places.allSatisfy { shape[$0] == 1 }, "axes \(axes) of the shape \(shape) have other extents than 1")
    return reshaped(to: shape.indices.filter { !places.contains($0) }.map { shape[$0] })
  }

  /// The axes in reverse order.
  public func transposed() -> MLTensor { transposed(permutation: shape.indices.reversed()) }

  /// The axes in another order.
  public func transposed(permutation: Int...) -> MLTensor { transposed(permutation: permutation) }

  /// The axes in another order.
  public func transposed(permutation: [Int]) -> MLTensor {
    let axes = permutation.map { position(of: $0) }
    precondition(axes.sorted() == Array(shape.indices), "\(permutation) is no permutation of the axes of \(shape)")
    let (target, steps) = (axes.map { shape[$0] }, axes.map { strides[$0] })
    return picking(Self.places(target, strides: steps), shape: target)
  }

  /// Some axes backwards; all where none is named.
  public func reversed(alongAxes axes: Int...) -> MLTensor { reversed(alongAxes: axes) }

  /// Some axes backwards; all where none is named.
  public func reversed(alongAxes axes: [Int]) -> MLTensor {
    var (steps, start) = (strides, 0)
    for axis in axes.isEmpty ? Set(shape.indices) : Set(axes.map { position(of: $0) }) {
      start += (shape[axis] - 1) * steps[axis]
      steps[axis] = -steps[axis]
    }
    return scalarCount == 0 ? self : picking(Self.places(shape, strides: steps, from: start), shape: shape)
  }

  /// Again and again along each axis, at least once. Where multiples or axes are missing, they are the first ones, and
  /// taken as 1.
  public func tiled(multiples: [Int]) -> MLTensor {
    precondition(multiples.allSatisfy { $0 > 0 }, "multiples must be positive, got \(multiples)")
    let ones = [Int](repeating: 1, count: Swift.max(rank, multiples.count))
    let start = reshaped(to: ones.dropFirst(rank) + shape)
    return (ones.dropFirst(multiples.count) + multiples).enumerated().reduce(start) { result, entry in
      entry.element == 1
        ? result : MLTensor(concatenating: [MLTensor](repeating: result, count: entry.element), alongAxis: entry.offset)
    }
  }

  /// The scalars as another shape has them, extents of 1 repeated.
  func broadcast(to target: [Int]) -> MLTensor {
    if shape == target { return self }
    let missing = target.count - rank
    let steps = target.indices.map { axis in
      axis < missing || shape[axis - missing] == 1 ? 0 : strides[axis - missing]
    }
    return picking(Self.places(target, strides: steps), shape: target)
  }

  /// Joins tensors along an axis. They must agree in all other extents.
  public init(concatenating tensors: some Collection<MLTensor>, alongAxis axis: Int = 0) {
    let parts = Array(tensors)
    precondition(!parts.isEmpty, "nothing to concatenate")
    let type = parts.reduce(parts[0].tensor.elementType) { Self.wider($0, $1.tensor.elementType) }
    let axis = parts[0].position(of: axis)
    // The axis in front, where joining is a matter of bytes.
    let order = [axis] + parts[0].shape.indices.filter { $0 != axis }
    let fronts = parts.map { $0.cast(to: type).transposed(permutation: order) }
    for (part, front) in zip(parts, fronts) where front.shape.dropFirst() != fronts[0].shape.dropFirst() {
      preconditionFailure("shapes \(parts[0].shape) and \(part.shape) differ outside of axis \(axis)")
    }
    let joined = MLTensor(
      shape: [fronts.reduce(0) { $0 + $1.shape[0] }] + fronts[0].shape.dropFirst(), type
    ) { bytes in
      var place = 0
      for front in fronts {
        front.tensor.withUnsafeBytes { source in
          UnsafeMutableRawBufferPointer(rebasing: bytes[place..<place + source.count]).copyMemory(from: source)
          place += source.count
        }
      }
    }
    self = joined.transposed(permutation: order.indices.map { target in order.firstIndex(of: target) ?? target })
  }

  /// Stacks tensors of one shape along a new axis.
  public init(stacking tensors: some Collection<MLTensor>, alongAxis axis: Int = 0) {
    self.init(concatenating: tensors.map { $0.expandingShape(at: axis) }, alongAxis: axis)
  }

  /// Joined with another one along an axis.
  public func concatenated(with other: MLTensor, alongAxis axis: Int = 0) -> MLTensor {
    MLTensor(concatenating: [self, other], alongAxis: axis)
  }

  /// Equal parts along an axis.
  public func split(count: Int, alongAxis axis: Int = 0) -> [MLTensor] {
    let extent = shape[position(of: axis)]
    precondition(count > 0 && extent.isMultiple(of: count), "an extent of \(extent) has no \(count) equal parts")
    return split(sizes: [Int](repeating: extent / count, count: count), alongAxis: axis)
  }

  /// Parts of these sizes along an axis.
  public func split(sizes: [Int], alongAxis axis: Int = 0) -> [MLTensor] {
    let axis = position(of: axis)
    precondition(sizes.reduce(0, +) == shape[axis], "sizes \(sizes) do not add up to \(shape[axis])")
    var start = 0
    return sizes.map { size in
      defer { start += size }
      return part(axis, start..<start + size)
    }
  }

  /// The parts at each index of an axis, which disappears.
  public func unstacked(alongAxis axis: Int = 0) -> [MLTensor] {
    let axis = position(of: axis)
    return (0..<shape[axis]).map { part(axis, $0..<$0 + 1).squeezingShape(at: axis) }
  }

  func part(_ axis: Int, _ range: Range<Int>) -> MLTensor {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= shape[axis], "range \(range) is outside of the shape \(shape)")
    var target = shape
    target[axis] = range.count
    return picking(Self.places(target, strides: strides, from: range.lowerBound * strides[axis]), shape: target)
  }
}
