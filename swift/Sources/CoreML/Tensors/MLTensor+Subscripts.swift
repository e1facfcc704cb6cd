extension MLTensor {
  /// The part at indices and in ranges of the axes; nil stands for all of an axis. Axes with an index disappear, axes that
  /// are not named stay whole. Negative indices and bounds count from the end.
  public subscript(ranges: (any MLTensorRangeExpression)?...) -> MLTensor { part(ranges) }

  /// The same, where `...` stands for all axes before the ranges.
  public subscript(
    firstRange: (UnboundedRange_) -> Void, trailingRanges: (any MLTensorRangeExpression)?...
  ) -> MLTensor {
    part([_MLTensorRange(.fillAll)] + trailingRanges)
  }

  /// The same, where `...` stands for all axes between the ranges.
  public subscript(
    firstRange: (any MLTensorRangeExpression)?, secondRange: (UnboundedRange_) -> Void,
    trailingRanges: (any MLTensorRangeExpression)?...
  ) -> MLTensor {
    part([firstRange, _MLTensorRange(.fillAll)] + trailingRanges)
  }

  /// The same, where `...` stands for all axes between the ranges.
  public subscript(
    firstRange: (any MLTensorRangeExpression)?, secondRange: (any MLTensorRangeExpression)?,
    thirdRange: (UnboundedRange_) -> Void, trailingRanges: (any MLTensorRangeExpression)?...
  ) -> MLTensor {
    part([firstRange, secondRange, _MLTensorRange(.fillAll)] + trailingRanges)
  }

  /// The same, where `...` stands for all axes between the ranges.
  public subscript(
    firstRange: (any MLTensorRangeExpression)?, secondRange: (any MLTensorRangeExpression)?,
    thirdRange: (any MLTensorRangeExpression)?, fourthRange: (UnboundedRange_) -> Void,
    trailingRanges: (any MLTensorRangeExpression)?...
  ) -> MLTensor {
    part([firstRange, secondRange, thirdRange, _MLTensorRange(.fillAll)] + trailingRanges)
  }

  private func part(_ expressions: [(any MLTensorRangeExpression)?]) -> MLTensor {
    let ranges = expressions.map { $0?._mlTensorRange }
    let named = ranges.reduce(0) { $0 + ($1.map { $0.axes ?? 0 } ?? 1) }
    precondition(named <= rank, "ranges of \(named) axes for the shape \(shape)")
    var view = View(of: self.shape, strides: self.strides)
    for range in ranges {
      switch range?.kind {
      case nil: view.keep(1)
      case .fillAll: view.keep(rank - named)
      case .newAxis: view.add()
      case .squeezeAxis: view.squeeze()
      case .index(let index): view.take(index)
      case .part(let first, let end, let stride): view.take(from: first, upTo: end, stride: stride)
      }
    }
    view.keep(view.rest.count)
    return picking(Self.places(view.shape, strides: view.strides, from: view.start), shape: view.shape)
  }
}

/// Where the scalars of a part lie, as its axes are added from the first to the last.
private struct View {
  /// Extents and strides of the axes that were not used yet.
  var rest: ArraySlice<(Int, Int)>
  let whole: [Int]
  var start = 0
  var shape: [Int] = []
  var strides: [Int] = []

  init(of shape: [Int], strides: [Int]) {
    rest = Array(zip(shape, strides))[...]
    whole = shape
  }

  mutating func keep(_ count: Int) {
    shape += rest.prefix(count).map(\.0)
    strides += rest.prefix(count).map(\.1)
    rest = rest.dropFirst(count)
  }

  mutating func add() {
    shape.append(1)
    strides.append(0)
  }

  mutating func squeeze() {
    let (extent, _) = rest.removeFirst()
    precondition(extent == 1, "an axis of extent \(extent) of the shape \(whole) cannot be squeezed")
  }

  mutating func take(_ index: Int) {
    let (extent, stride) = rest.removeFirst()
    let place = index < 0 ? index + extent : index
    precondition((0..<extent).contains(place), "index \(index) is outside of the shape \(whole)")
    start += place * stride
  }

  mutating func take(from first: Int, upTo end: Int?, stride step: Int) {
    let (extent, stride) = rest.removeFirst()
    let lower = first < 0 ? first + extent : first
    let upper = end.map { $0 < 0 ? $0 + extent : $0 } ?? extent
    precondition(
      lower >= 0 && upper <= extent && lower <= upper && step > 0,
      "the range \(lower)..<\(upper) by \(step) is outside of the shape \(whole)")
    start += lower * stride
    shape.append((upper - lower + step - 1) / step)
    strides.append(stride * step)
  }
}
