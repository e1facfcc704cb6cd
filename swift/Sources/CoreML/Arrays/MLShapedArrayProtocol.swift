import TintypeMLX

/// What shaped arrays and their slices have in common.
public protocol MLShapedArrayProtocol<Scalar>: ExpressibleByArrayLiteral, MutableCollection, RandomAccessCollection
where Index == Int, ArrayLiteralElement == Scalar {
  /// The type of the scalars.
  associatedtype Scalar: MLShapedArrayScalar

  /// Extents, one an axis.
  var shape: [Int] { get }
  /// In scalars. May be padded.
  var strides: [Int] { get }

  /// An array over memory that is never written: a change of the array copies it first.
  init(bytesNoCopy bytes: UnsafeRawPointer, shape: [Int], strides: [Int], deallocator: Data.Deallocator)

  /// A new array that the closure fills; it gets the memory and its strides.
  init(
    unsafeUninitializedShape shape: [Int],
    initializingWith initializer: (inout UnsafeMutableBufferPointer<Scalar>, [Int]) throws -> Void
  ) rethrows

  /// Calls `body` with the memory, the shape and the strides.
  func withUnsafeShapedBufferPointer<R>(
    _ body: (UnsafeBufferPointer<Scalar>, [Int], [Int]) throws -> R
  ) rethrows -> R

  /// The same to write; the strides may differ from those before the call.
  mutating func withUnsafeMutableShapedBufferPointer<R>(
    _ body: (inout UnsafeMutableBufferPointer<Scalar>, [Int], [Int]) throws -> R
  ) rethrows -> R

  /// The same scalars with the axes in another order.
  func transposed(permutation: [Int]) -> Self

  /// The part at indices of the first axes, which disappear.
  subscript<C: Collection>(indices: C) -> MLShapedArraySlice<Scalar> where C.Element == Int { get set }
  /// The part in ranges of the first axes.
  subscript<C: Collection>(ranges: C) -> MLShapedArraySlice<Scalar> where C.Element == Range<Int> { get set }
  /// The scalar at one index an axis.
  subscript<C: Collection>(scalarAt indices: C) -> Scalar where C.Element == Int { get set }
}

extension MLShapedArrayProtocol {
  /// Number of scalars.
  public var scalarCount: Int { shape.reduce(1, *) }

  /// Whether there are no axes, just one scalar.
  public var isScalar: Bool { shape.isEmpty }

  /// The scalars in row-major order.
  public var scalars: [Scalar] {
    get {
      withUnsafeShapedBufferPointer { pointer, shape, strides in
        let count = shape.reduce(1, *)
        return [Scalar](unsafeUninitializedCapacity: count) { target, initialized in
          if let source = pointer.baseAddress, let base = target.baseAddress {
            TensorView(
              base: source, elementType: Scalar.multiArrayDataType.elementType, shape: shape, strides: strides
            ).copyElements(to: base)
          }
          initialized = count
        }
      }
    }
    set { self = Self(scalars: newValue, shape: shape) }
  }

  /// The scalar of an array without axes; nil where there are axes.
  public var scalar: Scalar? {
    get { isScalar ? scalars.first : nil }
    set {
      precondition(isScalar, "an array of shape \(shape) is no scalar")
      if let newValue { fill(with: newValue) }
    }
  }

  /// The part at indices of the first axes, which disappear.
  public subscript(indices: Int...) -> MLShapedArraySlice<Scalar> {
    get { self[indices] }
    set { self[indices] = newValue }
  }

  /// The scalar at one index an axis.
  public subscript(scalarAt indices: Int...) -> Scalar {
    get { self[scalarAt: indices] }
    set { self[scalarAt: indices] = newValue }
  }

  /// The part in ranges of the first axes.
  public subscript(ranges: any MLShapedArrayRangeExpression...) -> MLShapedArraySlice<Scalar> {
    get { self[self.ranges(ranges)] }
    set { self[self.ranges(ranges)] = newValue }
  }

  /// The part in ranges of the first axes.
  public subscript<C: Collection>(partialSliceRanges: C) -> MLShapedArraySlice<Scalar>
  where C.Element == any MLShapedArrayRangeExpression {
    get { self[ranges(Array(partialSliceRanges))] }
    set { self[ranges(Array(partialSliceRanges))] = newValue }
  }

  /// All of it.
  public subscript(_: (UnboundedRange_) -> Void) -> MLShapedArraySlice<Scalar> {
    get { self[[Range<Int>]()] }
    set { self[[Range<Int>]()] = newValue }
  }

  private func ranges(_ expressions: [any MLShapedArrayRangeExpression]) -> [Range<Int>] {
    precondition(expressions.count <= shape.count, "\(expressions.count) ranges for shape \(shape)")
    return zip(expressions, shape).map { $0.relative(toShapedArrayAxis: 0..<$1) }
  }

  /// The axes in reverse order.
  public func transposed() -> Self { transposed(permutation: shape.indices.reversed()) }

  /// Sets every scalar.
  public mutating func fill(with value: Scalar) {
    self = Self(repeating: value, shape: shape)
  }

  /// Sets the scalars to those of a collection, again and again until all are set.
  public mutating func fill<C: Collection>(with collection: C) where C.Element == Scalar {
    precondition(!collection.isEmpty || scalarCount == 0, "nothing to fill with")
    let values = Array(collection)
    self = Self(scalars: (0..<scalarCount).map { values[$0 % values.count] }, shape: shape)
  }
}

extension MLShapedArrayProtocol {
  /// A vector.
  public init(arrayLiteral elements: Scalar...) { self.init(scalars: elements, shape: [elements.count]) }

  /// Scalars in row-major order; there must be as many as the shape has, or more.
  public init<S: Sequence>(scalars: S, shape: [Int]) where S.Element == Scalar {
    let count = ShapedBuffer<Scalar>.count(of: shape)
    self.init(unsafeUninitializedShape: shape) { target, _ in
      let isCopied: Void? = scalars.withContiguousStorageIfAvailable { source in
        precondition(source.count >= count, "shape \(shape) takes \(count) scalars, got \(source.count)")
        _ = target.update(fromContentsOf: source.prefix(count))
      }
      if isCopied != nil { return }
      let (_, end) = target.update(from: scalars)
      precondition(end == count, "shape \(shape) takes \(count) scalars, got \(end)")
    }
  }

  /// The same scalar everywhere.
  public init(repeating value: Scalar, shape: [Int]) {
    self.init(unsafeUninitializedShape: shape) { target, _ in target.update(repeating: value) }
  }

  /// One scalar, no axes.
  public init(scalar: Scalar) { self.init(scalars: [scalar], shape: []) }

  /// The same over memory in row-major order.
  public init(bytesNoCopy bytes: UnsafeRawPointer, shape: [Int], deallocator: Data.Deallocator) {
    self.init(
      bytesNoCopy: bytes, shape: shape, strides: TensorView.contiguousStrides(of: shape), deallocator: deallocator)
  }

  /// A copy of the scalars in `data`, in row-major order.
  public init(data: Data, shape: [Int]) {
    self.init(data: data, shape: shape, strides: TensorView.contiguousStrides(of: shape))
  }

  /// A copy of the scalars in `data`.
  public init(data: Data, shape: [Int], strides: [Int]) {
    let needed = ShapedBuffer<Scalar>.span(of: shape, strides) * MemoryLayout<Scalar>.stride
    precondition(data.count >= needed, "shape \(shape) takes \(needed) bytes, got \(data.count)")
    self.init(unsafeUninitializedShape: shape) { target, _ in
      data.withUnsafeBytes { source in
        guard let base = source.baseAddress, let output = target.baseAddress else { return }
        TensorView(
          base: base, elementType: Scalar.multiArrayDataType.elementType, shape: shape, strides: strides
        ).copyElements(to: output)
      }
    }
  }

  /// The scalars of a multi-array of the same type.
  public init(_ multiArray: MLMultiArray) {
    precondition(
      multiArray.dataType == Scalar.multiArrayDataType,
      "a multi-array of \(multiArray.dataType) has no scalars of type \(Scalar.self); use init(converting:)")
    self.init(bytesNoCopy: multiArray.dataPointer, shape: multiArray.extents, strides: multiArray.steps, multiArray)
  }

  /// The scalars of a multi-array, converted where they have another type.
  public init(converting multiArray: MLMultiArray) {
    let type = Scalar.multiArrayDataType.elementType
    guard let tensor = try? Tensor(copying: multiArray.view).converted(to: type) else {
      preconditionFailure("\(multiArray.count) scalars are more than there is memory for")
    }
    let view = tensor.view
    self.init(bytesNoCopy: view.base, shape: view.shape, strides: view.strides, tensor)
  }

  /// The scalars of another shaped array, converted where they have another type; floats lose their fractions where
  /// integers are asked for.
  public init<T: MLShapedArrayProtocol>(converting source: T) {
    self.init(converting: MLMultiArray(source))
  }

  /// Joins arrays along an axis. They must agree in all other extents.
  public init<S: Sequence>(concatenating arrays: S, alongAxis axis: Int)
  where S.Element: MLShapedArrayProtocol, S.Element.Scalar == Scalar {
    let parts = arrays.map { MLMultiArray($0) }
    self.init(
      MLMultiArray(concatenating: parts, axis: axis, dataType: Scalar.multiArrayDataType))
  }

  /// Memory that `owner` keeps.
  private init(bytesNoCopy base: UnsafeRawPointer, shape: [Int], strides: [Int], _ owner: Any) {
    // Negative strides come only from C callers; a copy has none.
    if strides.contains(where: { $0 < 0 }) {
      self.init(unsafeUninitializedShape: shape) { target, _ in
        guard let output = target.baseAddress else { return }
        TensorView(
          base: base, elementType: Scalar.multiArrayDataType.elementType, shape: shape, strides: strides
        ).copyElements(to: output)
      }
      return
    }
    nonisolated(unsafe) let owner = owner
    self.init(
      bytesNoCopy: base, shape: shape, strides: strides,
      deallocator: .custom { _, _ in withExtendedLifetime(owner) {} })
  }
}
