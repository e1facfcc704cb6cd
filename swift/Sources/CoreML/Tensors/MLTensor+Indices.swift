extension MLTensor {
  /// Indices as places of an axis; negative ones count from its end.
  private func places(_ indices: MLTensor, onAxis axis: Int) -> [Int] {
    indices.values.map { index in
      let place = index < 0 ? Int(index) + shape[axis] : Int(index)
      precondition((0..<shape[axis]).contains(place), "index \(index) is outside of axis \(axis) of the shape \(shape)")
      return place
    }
  }

  /// The parts along an axis that the indices name, in their shape.
  public func gathering(atIndices indices: MLTensor, alongAxis axis: Int) -> MLTensor {
    let axis = position(of: axis)
    let found = places(indices, onAxis: axis)
    let (before, after) = (Array(shape[..<axis]), Array(shape[(axis + 1)...]))
    let steps = strides
    let tails = Self.places(after, strides: Array(steps[(axis + 1)...]))
    let picked = Self.places(before, strides: Array(steps[..<axis])).flatMap { head in
      found.flatMap { index in tails.map { head + index * steps[axis] + $0 } }
    }
    return picking(picked, shape: before + indices.shape + after)
  }

  /// The parts at the indices. The last axis of `indices` holds one index for each of the first axes; what they leave is a
  /// part.
  public func gathering(atIndices indices: MLTensor) -> MLTensor {
    precondition(!indices.isScalar, "indices of the shape [] have no axis of lookup vectors")
    let depth = indices.shape[indices.rank - 1]
    precondition(depth <= rank, "\(depth) indices for the shape \(shape)")
    let steps = strides
    let columns = indices.reshaped(to: [depth == 0 ? 0 : indices.scalarCount / depth, depth])
    let axes = (0..<depth).map { places(columns.part(1, $0..<$0 + 1), onAxis: $0) }
    let count = indices.shape.dropLast().reduce(1, *)
    let tails = Self.places(Array(shape[depth...]), strides: Array(steps[depth...]))
    let picked = (0..<count).flatMap { row in
      let head = axes.enumerated().reduce(0) { $0 + $1.element[row] * steps[$1.offset] }
      return tails.map { head + $0 }
    }
    return picking(picked, shape: indices.shape.dropLast() + shape[depth...])
  }

  /// With one number at the indices along an axis. `indices` has this tensor's shape but for that axis.
  public func replacing(
    atIndices indices: MLTensor, with replacement: some MLTensorScalar, alongAxis axis: Int
  ) -> MLTensor {
    replacing(
      with: MLTensor(replacement).cast(like: self).broadcast(to: indices.shape), atIndices: indices, alongAxis: axis)
  }

  /// With other scalars at the indices along an axis. `indices` has this tensor's shape but for that axis, and
  /// `replacement` the shape of `indices`. Of several replacements of one scalar, the last counts.
  public func replacing(
    with replacement: MLTensor, atIndices indices: MLTensor, alongAxis axis: Int
  ) -> MLTensor {
    let axis = position(of: axis)
    var expected = shape
    if indices.rank == rank { expected[axis] = indices.shape[axis] }
    precondition(indices.shape == expected, "indices of the shape \(indices.shape) for the shape \(shape)")
    precondition(
      replacement.shape == indices.shape,
      "replacements of the shape \(replacement.shape) at indices of the shape \(indices.shape)")
    let found = places(indices, onAxis: axis)
    let steps = strides.enumerated().map { $0.offset == axis ? 0 : $0.element }
    var results = values
    let updates = replacement.cast(like: self).values
    for (number, place) in Self.places(indices.shape, strides: steps).enumerated() {
      results[place + found[number] * strides[axis]] = updates[number]
    }
    return MLTensor(values: results, shape: shape, tensor.elementType)
  }

  /// The replacement's scalars where the mask is true, these elsewhere.
  public func replacing(with replacement: MLTensor, where mask: MLTensor) -> MLTensor {
    let shape = Self.broadcast(Self.broadcast(self.shape, replacement.shape), mask.shape)
    let (own, other) = (broadcast(to: shape).values, replacement.cast(like: self).broadcast(to: shape).values)
    let chosen = mask.broadcast(to: shape).values
    return MLTensor(
      values: own.indices.map { chosen[$0] != 0 ? other[$0] : own[$0] }, shape: shape, tensor.elementType)
  }

  /// One scalar where the mask is true, these elsewhere.
  public func replacing(with replacement: some MLTensorScalar, where mask: MLTensor) -> MLTensor {
    replacing(with: MLTensor(replacement), where: mask)
  }
}
