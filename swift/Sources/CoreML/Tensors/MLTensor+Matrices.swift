extension MLTensor {
  /// The product of matrices, [… , n, k] × [… , k, m]; leading axes are broadcast. Of two vectors, the scalar product; a
  /// single vector stands for a matrix of one row or column, which the result does not have.
  public func matmul(_ other: MLTensor) -> MLTensor {
    precondition(!isScalar && !other.isScalar, "shapes \(shape) and \(other.shape) cannot be multiplied")
    if rank == 1 { return expandingShape(at: 0).matmul(other).squeezingShape(at: other.rank == 1 ? -1 : -2) }
    if other.rank == 1 { return matmul(other.expandingShape(at: 1)).squeezingShape(at: -1) }
    precondition(
      shape[rank - 1] == other.shape[other.rank - 2],
      "matrices of the shapes \(shape) and \(other.shape) cannot be multiplied")
    let (n, k, m) = (shape[rank - 2], shape[rank - 1], other.shape[other.rank - 1])
    let batch = Self.broadcast(Array(shape.dropLast(2)), Array(other.shape.dropLast(2)))
    let type = Self.wider(tensor.elementType, other.tensor.elementType)
    let (a, b) = (broadcast(to: batch + [n, k]).values, other.broadcast(to: batch + [k, m]).values)
    var results = [Double](repeating: 0, count: batch.reduce(n * m, *))
    for group in 0..<batch.reduce(1, *) {
      for i in 0..<n {
        for j in 0..<k {
          let factor = a[(group * n + i) * k + j]
          for l in 0..<m { results[(group * n + i) * m + l] += factor * b[(group * k + j) * m + l] }
        }
      }
    }
    return MLTensor(values: results, shape: batch + [n, m], type)
  }

  /// The last two axes' matrices with zeros outside of a band: `lowerBandCount` diagonals below the main one and
  /// `upperBandCount` above it are kept; negative counts keep all.
  public func bandPart(lowerBandCount: Int, upperBandCount: Int) -> MLTensor {
    precondition(rank > 1, "the shape \(shape) is none of matrices")
    let (rows, columns) = (shape[rank - 2], shape[rank - 1])
    let kept = values.enumerated().map { place, value in
      let (row, column) = (place / columns % rows, place % columns)
      let isBelow = lowerBandCount >= 0 && row - column > lowerBandCount
      let isAbove = upperBandCount >= 0 && column - row > upperBandCount
      return isBelow || isAbove ? 0 : value
    }
    return MLTensor(values: kept, shape: shape, tensor.elementType)
  }
}
