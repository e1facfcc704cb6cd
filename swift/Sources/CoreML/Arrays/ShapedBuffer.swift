import CoreVideo
import TintypeMLX

/// What MLShapedArray and MLShapedArraySlice have in common: scalars under a shape and strides, copied on write.
struct ShapedBuffer<Scalar: MLShapedArrayScalar>: Sendable {
  private(set) var storage: ShapedStorage<Scalar>
  private(set) var offset: Int
  private(set) var shape: [Int]
  private(set) var strides: [Int]

  private init(storage: ShapedStorage<Scalar>, offset: Int, shape: [Int], strides: [Int]) {
    self.storage = storage
    self.offset = offset
    self.shape = shape
    self.strides = strides
  }

  /// Zeros.
  init(shape: [Int], strides: [Int]? = nil) {
    let count = ShapedBuffer.count(of: shape)
    let steps = strides ?? TensorView.contiguousStrides(of: shape)
    let span = ShapedBuffer.span(of: shape, steps)
    self.init(storage: ShapedStorage(count: max(count, span)), offset: 0, shape: shape, strides: steps)
  }

  init(
    lent base: UnsafeRawPointer, shape: [Int], strides: [Int], owner: Any, pixelBuffer: CVPixelBuffer? = nil
  ) {
    precondition(shape.count == strides.count, "shape \(shape) needs \(shape.count) strides, got \(strides.count)")
    _ = ShapedBuffer.count(of: shape)
    let span = ShapedBuffer.span(of: shape, strides)
    self.init(
      storage: ShapedStorage(lent: base, count: span, owner: owner, pixelBuffer: pixelBuffer), offset: 0,
      shape: shape, strides: strides)
  }

  /// The memory of a pixel buffer of 16-bit floats.
  init(mutating pixelBuffer: CVPixelBuffer, shape: [Int]) {
    precondition(
      Scalar.multiArrayDataType == .float16, "an array over a pixel buffer has scalars of Float16, not \(Scalar.self)")
    let pixels = HalfPixels(pixelBuffer, shape: shape)
    let span = ShapedBuffer.span(of: shape, pixels.steps)
    self.init(storage: ShapedStorage(pixels, count: span), offset: 0, shape: shape, strides: pixels.steps)
  }

  init(bytesNoCopy bytes: UnsafeRawPointer, shape: [Int], strides: [Int], deallocator: Data.Deallocator) {
    let count = ShapedBuffer.span(of: shape, strides) * MemoryLayout<Scalar>.stride
    let owner = LentMemory(UnsafeMutableRawPointer(mutating: bytes), count: count, deallocator: deallocator)
    self.init(lent: bytes, shape: shape, strides: strides, owner: owner)
  }

  init(
    shape: [Int], initializingWith initializer: (inout UnsafeMutableBufferPointer<Scalar>, [Int]) throws -> Void
  ) rethrows {
    self.init(shape: shape)
    try withMutablePointer(initializer)
  }

  static func count(of shape: [Int]) -> Int {
    guard let count = try? Tensor.elementCount(of: shape, elementType: .float64) else {
      preconditionFailure("\(shape) is no shape")
    }
    return count
  }

  /// Scalars from the first to the end of the last.
  static func span(of shape: [Int], _ strides: [Int]) -> Int {
    precondition(shape.count == strides.count, "shape \(shape) needs \(shape.count) strides, got \(strides.count)")
    precondition(strides.allSatisfy { $0 >= 0 }, "strides must not be negative, got \(strides)")
    if shape.contains(0) { return 0 }
    return zip(shape, strides).reduce(1) { $0 + ($1.0 - 1) * $1.1 }
  }

  var count: Int { shape.reduce(1, *) }

  var view: TensorView {
    TensorView(
      base: UnsafeRawPointer(storage.base + offset), elementType: Scalar.multiArrayDataType.elementType, shape: shape,
      strides: strides)
  }

  var scalars: [Scalar] {
    let count = self.count
    return [Scalar](unsafeUninitializedCapacity: count) { target, initialized in
      if let base = target.baseAddress { view.copyElements(to: base) }
      initialized = count
    }
  }

  /// A copy of its own memory, row by row unless `strides` say otherwise.
  func copied(strides: [Int]? = nil) -> ShapedBuffer {
    var copy = ShapedBuffer(shape: shape, strides: strides)
    copy.assign(scalars)
    return copy
  }

  /// Moves the scalars where the layout wants them.
  mutating func lay(out layout: MLShapedArrayBufferLayout) {
    let wanted = layout.strides(of: shape)
    if strides != wanted { self = copied(strides: wanted) }
  }

  mutating func makeUnique() {
    if !(storage.isOwn && isKnownUniquelyReferenced(&storage)) { self = copied() }
  }

  /// Writes scalars in row-major order; there must be as many as this has.
  mutating func assign(_ values: [Scalar]) {
    precondition(values.count == count, "shape \(shape) takes \(count) scalars, got \(values.count)")
    makeUnique()
    var next = values.startIndex
    forEachOffset { position in
      storage.base[position] = values[next]
      next += 1
    }
  }

  /// Calls `body` with the place of every scalar, in row-major order.
  private func forEachOffset(_ body: (Int) -> Void) {
    if shape.contains(0) { return }
    var index = [Int](repeating: 0, count: shape.count)
    var position = offset
    while true {
      body(position)
      var axis = shape.count - 1
      while axis >= 0 {
        index[axis] += 1
        position += strides[axis]
        if index[axis] < shape[axis] { break }
        position -= shape[axis] * strides[axis]
        index[axis] = 0
        axis -= 1
      }
      if axis < 0 { return }
    }
  }

  func withPointer<R>(_ body: (UnsafeBufferPointer<Scalar>) throws -> R) rethrows -> R {
    try withExtendedLifetime(storage) {
      try body(UnsafeBufferPointer(start: storage.base + offset, count: ShapedBuffer.span(of: shape, strides)))
    }
  }

  mutating func withMutablePointer<R>(
    _ body: (inout UnsafeMutableBufferPointer<Scalar>, [Int]) throws -> R
  ) rethrows -> R {
    makeUnique()
    var pointer = UnsafeMutableBufferPointer(
      start: storage.base + offset, count: ShapedBuffer.span(of: shape, strides))
    return try withExtendedLifetime(storage) { try body(&pointer, strides) }
  }

  subscript(scalarAt indices: [Int]) -> Scalar {
    get { storage.base[place(of: indices)] }
    set {
      makeUnique()
      storage.base[place(of: indices)] = newValue
    }
  }

  private func place(of indices: [Int]) -> Int {
    precondition(indices.count == shape.count, "\(indices.count) indices for shape \(shape)")
    return indices.indices.reduce(offset) { place, axis in
      precondition((0..<shape[axis]).contains(indices[axis]), "index \(indices) is outside of shape \(shape)")
      return place + indices[axis] * strides[axis]
    }
  }

  /// The part at some indices of the first axes, which disappear.
  func part(at indices: [Int]) -> ShapedBuffer {
    precondition(indices.count <= shape.count, "\(indices.count) indices for shape \(shape)")
    let place = indices.indices.reduce(offset) { place, axis in
      precondition((0..<shape[axis]).contains(indices[axis]), "index \(indices) is outside of shape \(shape)")
      return place + indices[axis] * strides[axis]
    }
    return ShapedBuffer(
      storage: storage, offset: place, shape: Array(shape.dropFirst(indices.count)),
      strides: Array(strides.dropFirst(indices.count)))
  }

  /// The part in some ranges of the first axes.
  func part(in ranges: [Range<Int>]) -> ShapedBuffer {
    precondition(ranges.count <= shape.count, "\(ranges.count) ranges for shape \(shape)")
    var result = self
    for (axis, range) in ranges.enumerated() {
      precondition(
        range.lowerBound >= 0 && range.upperBound <= shape[axis], "range \(range) is outside of shape \(shape)")
      result.offset += range.lowerBound * strides[axis]
      result.shape[axis] = range.count
    }
    return result
  }

  /// Replaces what `place` selects by scalars in row-major order.
  mutating func replace(_ place: (ShapedBuffer) -> ShapedBuffer, with values: [Scalar]) {
    makeUnique()
    let part = place(self)
    precondition(values.count == part.count, "shape \(part.shape) takes \(part.count) scalars, got \(values.count)")
    var next = values.startIndex
    part.forEachOffset { position in
      part.storage.base[position] = values[next]
      next += 1
    }
  }

  func transposed(_ permutation: [Int]) -> ShapedBuffer {
    precondition(
      permutation.sorted() == Array(shape.indices), "\(permutation) is no permutation of the axes of shape \(shape)")
    return ShapedBuffer(
      storage: storage, offset: offset, shape: permutation.map { shape[$0] }, strides: permutation.map { strides[$0] })
  }

  func reshaped(_ target: [Int]) -> ShapedBuffer {
    precondition(ShapedBuffer.count(of: target) == count, "shape \(shape) cannot become \(target)")
    let source = view.isContiguous ? self : copied()
    return ShapedBuffer(
      storage: source.storage, offset: source.offset, shape: target,
      strides: TensorView.contiguousStrides(of: target))
  }

  var squeezed: ShapedBuffer { reshaped(shape.filter { $0 != 1 }) }

  func expanded(at axis: Int) -> ShapedBuffer {
    let axis = axis < 0 ? axis + shape.count + 1 : axis
    precondition((0...shape.count).contains(axis), "axis \(axis) is outside of shape \(shape)")
    var target = shape
    target.insert(1, at: axis)
    return reshaped(target)
  }
}
