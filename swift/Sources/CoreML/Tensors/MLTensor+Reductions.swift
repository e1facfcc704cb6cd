import TintypeMLX

extension MLTensor {
  /// Calls `reduce` with the scalars of each group that the axes make.
  private func reduced(
    _ axes: [Int], _ keepRank: Bool, _ type: ElementType? = nil, _ reduce: ([Double]) -> Double
  ) -> MLTensor {
    let axes = Set(axes.map { position(of: $0) })
    let kept = shape.indices.filter { !axes.contains($0) }
    let count = axes.reduce(1) { $0 * shape[$1] }
    let ordered = transposed(permutation: kept + axes.sorted()).values
    let groups = kept.reduce(1) { $0 * shape[$1] }
    let results = (0..<groups).map { reduce(Array(ordered[$0 * count..<($0 + 1) * count])) }
    let target = keepRank ? shape.indices.map { axes.contains($0) ? 1 : shape[$0] } : kept.map { shape[$0] }
    return MLTensor(values: results, shape: target, type ?? tensor.elementType)
  }

  private var allAxes: [Int] { Array(shape.indices) }

  /// The sums along some axes.
  public func sum(alongAxes axes: Int..., keepRank: Bool = false) -> MLTensor {
    sum(alongAxes: axes, keepRank: keepRank)
  }
  /// The sums along some axes.
  public func sum(alongAxes axes: [Int], keepRank: Bool = false) -> MLTensor {
    reduced(axes, keepRank) { $0.reduce(0, +) }
  }
  /// The sums along some axes.
  public func sum(keepRank: Bool = false) -> MLTensor { sum(alongAxes: allAxes, keepRank: keepRank) }

  /// The means along some axes.
  public func mean(alongAxes axes: Int..., keepRank: Bool = false) -> MLTensor {
    mean(alongAxes: axes, keepRank: keepRank)
  }
  /// The means along some axes.
  public func mean(alongAxes axes: [Int], keepRank: Bool = false) -> MLTensor {
    reduced(axes, keepRank) { $0.reduce(0, +) / Double($0.count) }
  }
  /// The means along some axes.
  public func mean(keepRank: Bool = false) -> MLTensor { mean(alongAxes: allAxes, keepRank: keepRank) }

  /// The products along some axes.
  public func product(alongAxes axes: Int..., keepRank: Bool = false) -> MLTensor {
    product(alongAxes: axes, keepRank: keepRank)
  }
  /// The products along some axes.
  public func product(alongAxes axes: [Int], keepRank: Bool = false) -> MLTensor {
    reduced(axes, keepRank) { $0.reduce(1, *) }
  }
  /// The product of all.
  public func product(keepRank: Bool = false) -> MLTensor { product(alongAxes: allAxes, keepRank: keepRank) }

  /// The largest scalars along some axes; NaN where there is one.
  public func max(alongAxes axes: Int..., keepRank: Bool = false) -> MLTensor {
    max(alongAxes: axes, keepRank: keepRank)
  }
  /// The largest scalars along some axes; NaN where there is one.
  public func max(alongAxes axes: [Int], keepRank: Bool = false) -> MLTensor {
    reduced(axes, keepRank) { $0.reduce(-.infinity) { $1.isNaN || $1 > $0 ? $1 : $0 } }
  }
  /// The largest scalars along some axes; NaN where there is one.
  public func max(keepRank: Bool = false) -> MLTensor { max(alongAxes: allAxes, keepRank: keepRank) }

  /// The smallest scalars along some axes; NaN where there is one.
  public func min(alongAxes axes: Int..., keepRank: Bool = false) -> MLTensor {
    min(alongAxes: axes, keepRank: keepRank)
  }
  /// The smallest scalars along some axes; NaN where there is one.
  public func min(alongAxes axes: [Int], keepRank: Bool = false) -> MLTensor {
    reduced(axes, keepRank) { $0.reduce(.infinity) { $1.isNaN || $1 < $0 ? $1 : $0 } }
  }
  /// The smallest scalars along some axes; NaN where there is one.
  public func min(keepRank: Bool = false) -> MLTensor { min(alongAxes: allAxes, keepRank: keepRank) }

  /// Whether all along some axes are true.
  public func all(alongAxes axes: Int..., keepRank: Bool = false) -> MLTensor {
    all(alongAxes: axes, keepRank: keepRank)
  }
  /// Whether all along some axes are true.
  public func all(alongAxes axes: [Int], keepRank: Bool = false) -> MLTensor {
    reduced(axes, keepRank, .bool) { $0.allSatisfy { $0 != 0 } ? 1 : 0 }
  }
  /// Whether all are true.
  public func all(keepRank: Bool = false) -> MLTensor { all(alongAxes: allAxes, keepRank: keepRank) }
  /// Whether one along some axes is true.
  public func any(alongAxes axes: Int..., keepRank: Bool = false) -> MLTensor {
    any(alongAxes: axes, keepRank: keepRank)
  }
  /// Whether one along some axes is true.
  public func any(alongAxes axes: [Int], keepRank: Bool = false) -> MLTensor {
    reduced(axes, keepRank, .bool) { $0.contains { $0 != 0 } ? 1 : 0 }
  }
  /// Whether one is true.
  public func any(keepRank: Bool = false) -> MLTensor { any(alongAxes: allAxes, keepRank: keepRank) }

  /// NaN is better than every number, as it is in `max` and `min`.
  private static func place(_ values: [Double], _ isBetter: (Double, Double) -> Bool) -> Double {
    var best = 0
    for index in values.indices where !values[best].isNaN {
      if values[index].isNaN || isBetter(values[index], values[best]) { best = index }
    }
    return Double(best)
  }

  /// The first index of the largest scalar, as int32.
  public func argmax(alongAxis axis: Int, keepRank: Bool = false) -> MLTensor {
    reduced([axis], keepRank, .int32) { Self.place($0, >) }
  }
  /// The first index of the largest scalar of all, as int32.
  public func argmax() -> MLTensor { flattened().argmax(alongAxis: 0) }
  /// The first index of the smallest scalar, as int32.
  public func argmin(alongAxis axis: Int, keepRank: Bool = false) -> MLTensor {
    reduced([axis], keepRank, .int32) { Self.place($0, <) }
  }
  /// The first index of the smallest scalar of all, as int32.
  public func argmin() -> MLTensor { flattened().argmin(alongAxis: 0) }

  /// Replaces each row along an axis by another one of any length.
  private func rows(_ axis: Int, _ type: ElementType? = nil, _ body: ([Double]) -> [Double]) -> MLTensor {
    let axis = position(of: axis)
    let order = shape.indices.filter { $0 != axis } + [axis]
    let (ordered, length) = (transposed(permutation: order), shape[axis])
    let values = ordered.values
    let results = (0..<(length == 0 ? 0 : values.count / length)).map {
      body(Array(values[$0 * length..<($0 + 1) * length]))
    }
    let target = ordered.shape.dropLast() + [results.first?.count ?? 0]
    return MLTensor(values: results.flatMap { $0 }, shape: Array(target), type ?? tensor.elementType)
      .transposed(permutation: order.indices.map { place in order.firstIndex(of: place) ?? place })
  }

  /// The indices that sort an axis, as int32; equal scalars keep their order.
  public func argsort(alongAxis axis: Int = -1, descendingOrder: Bool = false) -> MLTensor {
    rows(axis, .int32) { Self.sorted($0, descendingOrder).map(Double.init) }
  }

  private static func sorted(_ row: [Double], _ isDescending: Bool) -> [Int] {
    // NaN stands above all numbers, so that there is an order.
    func isLess(_ left: Double, _ right: Double) -> Bool { right.isNaN ? !left.isNaN : left < right }
    return row.indices.sorted { left, right in
      if isLess(row[left], row[right]) { return !isDescending }
      if isLess(row[right], row[left]) { return isDescending }
      return left < right
    }
  }

  /// The largest scalars of the last axis, the largest first, and their indices as int32.
  public func topK(_ k: Int) -> (values: MLTensor, indices: MLTensor) {
    precondition(
      rank > 0 && (0...shape[rank - 1]).contains(k), "the shape \(shape) has no \(k) scalars in its last axis")
    return (
      rows(-1) { row in Self.sorted(row, true).prefix(k).map { row[$0] } },
      rows(-1, .int32) { row in Self.sorted(row, true).prefix(k).map(Double.init) }
    )
  }

  /// The sum of every scalar and all before it.
  public func cumulativeSum(alongAxis axis: Int = 0) -> MLTensor { accumulated(axis, 0, +) }

  /// The product of every scalar and all before it.
  public func cumulativeProduct(alongAxis axis: Int = 0) -> MLTensor { accumulated(axis, 1, *) }

  private func accumulated(_ axis: Int, _ start: Double, _ join: (Double, Double) -> Double) -> MLTensor {
    rows(axis) { row in
      var result = start
      return row.map { value in
        result = join(result, value)
        return result
      }
    }
  }

  /// e^x over the sum of all along the axis.
  public func softmax(alongAxis axis: Int = -1) -> MLTensor {
    rows(axis) { row in
      let largest = row.reduce(-.infinity) { Swift.max($0, $1) }
      let powers = row.map { expOf($0 - largest) }
      let sum = powers.reduce(0, +)
      return powers.map { $0 / sum }
    }
  }
}
