import TintypeMLX

extension MLTensor {
  /// Scalars in row-major order; there must be as many as the shape has.
  public init<Scalar: MLTensorScalar>(
    shape: [Int], scalars: some Collection<Scalar>, scalarType: Scalar.Type = Scalar.self
  ) {
    let scalars = Array(scalars)
    let count = ShapedBuffer<Float>.count(of: shape)
    precondition(scalars.count == count, "shape \(shape) takes \(count) scalars, got \(scalars.count)")
    self.init(shape: shape, Scalar._elementType) { bytes in scalars.withUnsafeBytes { bytes.copyMemory(from: $0) } }
  }

  /// Floats in row-major order.
  public init(shape: [Int], scalars: some Collection<Float>) {
    self.init(shape: shape, scalars: scalars, scalarType: Float.self)
  }

  /// A vector.
  public init<Scalar: MLTensorScalar>(_ scalars: some Collection<Scalar>, scalarType: Scalar.Type = Scalar.self) {
    self.init(shape: [scalars.count], scalars: scalars, scalarType: Scalar.self)
  }

  /// A vector of floats.
  public init(_ scalars: some Collection<Float>) { self.init(scalars, scalarType: Float.self) }

  /// A vector of integers.
  public init(_ scalars: some Collection<Int32>) { self.init(scalars, scalarType: Int32.self) }

  /// One scalar, no axes.
  public init<Scalar: MLTensorScalar>(_ value: Scalar, scalarType: Scalar.Type = Scalar.self) {
    self.init(shape: [], scalars: [value], scalarType: Scalar.self)
  }

  /// The scalars of a shaped array.
  public init<ShapedArray: MLShapedArrayProtocol>(_ shapedArray: ShapedArray)
  where ShapedArray.Scalar: MLTensorScalar {
    self.init(shape: shapedArray.shape, scalars: shapedArray.scalars, scalarType: ShapedArray.Scalar.self)
  }

  /// Tensors of one shape, stacked along a new axis.
  public init(_ elements: some Collection<MLTensor>, alongAxis axis: Int = 0) {
    self.init(stacking: elements, alongAxis: axis)
  }

  /// Memory that the closure fills, row-major.
  public init(
    unsafeUninitializedShape shape: [Int], scalarType: any MLTensorScalar.Type,
    initializingWith initializer: (UnsafeMutableRawBufferPointer) throws -> Void
  ) rethrows {
    try self.init(shape: shape, scalarType._elementType, fill: initializer)
  }

  /// A copy of bytes in row-major order.
  public init(shape: [Int], data: Data, scalarType: any MLTensorScalar.Type) {
    let needed = ShapedBuffer<Float>.count(of: shape) * scalarType._elementType.size
    precondition(data.count == needed, "shape \(shape) takes \(needed) bytes, got \(data.count)")
    self.init(shape: shape, scalarType._elementType) { bytes in data.withUnsafeBytes { bytes.copyMemory(from: $0) } }
  }

  /// A tensor over bytes in row-major order, which are not copied; `deallocator` runs when no tensor uses them any more.
  /// There must be as many as the shape takes, or more.
  public init(
    bytesNoCopy bytes: UnsafeRawBufferPointer, shape: [Int], scalarType: any MLTensorScalar.Type,
    deallocator: Data.Deallocator
  ) {
    let needed = ShapedBuffer<Float>.count(of: shape) * scalarType._elementType.size
    precondition(bytes.count >= needed, "shape \(shape) takes \(needed) bytes, got \(bytes.count)")
    guard let base = bytes.baseAddress.map(UnsafeMutableRawPointer.init(mutating:)) else {
      self.init(shape: shape, scalarType._elementType) { _ in }
      return
    }
    let owner = LentMemory(base, count: bytes.count, deallocator: deallocator)
    guard
      let made = try? Tensor(
        shape: shape, elementType: scalarType._elementType, taking: base, release: { withExtendedLifetime(owner) {} })
    else { preconditionFailure("no tensor of shape \(shape) can be made") }
    self.init(made)
  }
}

extension MLTensor {
  /// The same scalar everywhere.
  public init<Scalar: MLTensorScalar>(
    repeating repeatedValue: Scalar, shape: [Int], scalarType: Scalar.Type = Scalar.self
  ) {
    let count = ShapedBuffer<Float>.count(of: shape)
    self.init(shape: shape, scalars: repeatElement(repeatedValue, count: count), scalarType: Scalar.self)
  }

  /// The same float everywhere.
  public init(repeating repeatedValue: Float, shape: [Int]) {
    self.init(repeating: repeatedValue, shape: shape, scalarType: Float.self)
  }

  /// Zeros.
  public init<Scalar: MLTensorScalar & FixedWidthInteger>(zeros shape: [Int], scalarType: Scalar.Type = Scalar.self) {
    self.init(shape: shape, Scalar._elementType) { _ in }
  }

  /// Zeros.
  public init<Scalar: MLTensorScalar & BinaryFloatingPoint>(zeros shape: [Int], scalarType: Scalar.Type = Scalar.self)
  where Scalar.RawSignificand: FixedWidthInteger {
    self.init(shape: shape, Scalar._elementType) { _ in }
  }

  /// Ones.
  public init<Scalar: MLTensorScalar & FixedWidthInteger>(ones shape: [Int], scalarType: Scalar.Type = Scalar.self) {
    self.init(repeating: 1, shape: shape, scalarType: Scalar.self)
  }

  /// Ones.
  public init<Scalar: MLTensorScalar & BinaryFloatingPoint>(ones shape: [Int], scalarType: Scalar.Type = Scalar.self)
  where Scalar.RawSignificand: FixedWidthInteger {
    self.init(repeating: 1, shape: shape, scalarType: Scalar.self)
  }

  /// start, start + stride, …, up to but not with `end`.
  public init(rangeFrom start: Float, to end: Float, by stride: Float.Stride) {
    self.init(rangeFrom: start, to: end, by: stride, scalarType: Float.self)
  }

  /// start, start + stride, …, up to but not with `end`.
  public init<Scalar: MLTensorScalar & Strideable>(
    rangeFrom start: Scalar, to end: Scalar, by stride: Scalar.Stride, scalarType: Scalar.Type = Scalar.self
  ) {
    self.init(Array(Swift.stride(from: start, to: end, by: stride)), scalarType: Scalar.self)
  }

  /// `count` floats from `start` to `end`, both included, equally far from each other.
  public init(linearSpaceFrom start: Float, through end: Float, count: Int) {
    self.init(linearSpaceFrom: start, through: end, count: count, scalarType: Float.self)
  }

  /// `count` numbers from `start` to `end`, both included, equally far from each other; at least two.
  public init<Scalar: MLTensorScalar & BinaryFloatingPoint>(
    linearSpaceFrom start: Scalar, through end: Scalar, count: Int, scalarType: Scalar.Type = Scalar.self
  ) {
    precondition(count > 1, "\(count) numbers make no space from \(start) to \(end)")
    let (first, last) = (Double(start), Double(end))
    let step = (last - first) / Double(count - 1)
    self.init((0..<count).map { $0 == count - 1 ? end : Scalar(first + Double($0) * step) }, scalarType: Scalar.self)
  }
}

extension MLTensor: ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
  /// A float without axes.
  public init(floatLiteral value: Float) { self.init(value, scalarType: Float.self) }
  /// An integer without axes.
  public init(integerLiteral value: Int32) { self.init(value, scalarType: Int32.self) }
  /// A truth value without axes.
  public init(booleanLiteral value: Bool) { self.init(value, scalarType: Bool.self) }
}

extension MLTensor: ExpressibleByArrayLiteral {
  /// Tensors of one shape, stacked along a new first axis.
  public init(arrayLiteral elements: MLTensor...) { self.init(stacking: elements) }
}
