import TintypeMLX

/// Numbers in several dimensions, with value semantics: the Swift counterpart of MLMultiArray.
public struct MLShapedArray<Scalar: MLShapedArrayScalar>: MLShapedArrayProtocol, Sendable {
  var buffer: ShapedBuffer<Scalar>

  public var shape: [Int] { buffer.shape }
  public var strides: [Int] { buffer.strides }
  public var startIndex: Int { 0 }
  public var endIndex: Int { shape.first ?? 0 }

  init(_ buffer: ShapedBuffer<Scalar>) { self.buffer = buffer }

  /// A vector.
  public init(arrayLiteral elements: Scalar...) { self.init(scalars: elements, shape: [elements.count]) }

  public init(bytesNoCopy bytes: UnsafeRawPointer, shape: [Int], strides: [Int], deallocator: Data.Deallocator) {
    let count = ShapedBuffer<Scalar>.span(of: shape, strides) * MemoryLayout<Scalar>.stride
    let owner = Data(bytesNoCopy: UnsafeMutableRawPointer(mutating: bytes), count: count, deallocator: deallocator)
    self.init(ShapedBuffer(lent: bytes, shape: shape, strides: strides, owner: owner))
  }

  public init(
    unsafeUninitializedShape shape: [Int],
    initializingWith initializer: (inout UnsafeMutableBufferPointer<Scalar>, [Int]) throws -> Void
  ) rethrows {
    var buffer = ShapedBuffer<Scalar>(shape: shape)
    try buffer.withMutablePointer(initializer)
    self.init(buffer)
  }

  public func withUnsafeShapedBufferPointer<R>(
    _ body: (UnsafeBufferPointer<Scalar>, [Int], [Int]) throws -> R
  ) rethrows -> R {
    try buffer.withPointer { try body($0, shape, strides) }
  }

  public mutating func withUnsafeMutableShapedBufferPointer<R>(
    _ body: (inout UnsafeMutableBufferPointer<Scalar>, [Int], [Int]) throws -> R
  ) rethrows -> R {
    let shape = self.shape
    return try buffer.withMutablePointer { try body(&$0, shape, $1) }
  }

  /// The same with the memory laid out first as `bufferLayout` says.
  public mutating func withUnsafeMutableShapedBufferPointer<R>(
    using bufferLayout: MLShapedArrayBufferLayout,
    _ body: (inout UnsafeMutableBufferPointer<Scalar>, [Int], [Int]) throws -> R
  ) rethrows -> R {
    let wanted = bufferLayout.strides(of: shape)
    if strides != wanted { buffer = buffer.copied(strides: wanted) }
    return try withUnsafeMutableShapedBufferPointer(body)
  }

  public subscript(index: Int) -> MLShapedArraySlice<Scalar> {
    get { MLShapedArraySlice(buffer.part(at: [index])) }
    set { buffer.replace({ $0.part(at: [index]) }, with: newValue.scalars) }
  }

  public subscript(bounds: Range<Int>) -> MLShapedArraySlice<Scalar> {
    get { MLShapedArraySlice(buffer.part(in: [bounds]), startIndex: bounds.lowerBound) }
    set { buffer.replace({ $0.part(in: [bounds]) }, with: newValue.scalars) }
  }

  public subscript<C: Collection>(indices: C) -> MLShapedArraySlice<Scalar> where C.Element == Int {
    get { MLShapedArraySlice(buffer.part(at: Array(indices))) }
    set { buffer.replace({ $0.part(at: Array(indices)) }, with: newValue.scalars) }
  }

  public subscript<C: Collection>(ranges: C) -> MLShapedArraySlice<Scalar> where C.Element == Range<Int> {
    get { MLShapedArraySlice(buffer.part(in: Array(ranges))) }
    set { buffer.replace({ $0.part(in: Array(ranges)) }, with: newValue.scalars) }
  }

  public subscript<C: Collection>(scalarAt indices: C) -> Scalar where C.Element == Int {
    get { buffer[scalarAt: Array(indices)] }
    set { buffer[scalarAt: Array(indices)] = newValue }
  }

  /// The axes in reverse order.
  public func transposed() -> Self { transposed(permutation: shape.indices.reversed()) }

  public func transposed(permutation: [Int]) -> Self { Self(buffer.transposed(permutation)) }

  public func reshaped(to newShape: [Int]) -> Self { Self(buffer.reshaped(newShape)) }

  /// A new axis of extent 1; negative positions count from the end.
  public func expandingShape(at axis: Int) -> Self { Self(buffer.expanded(at: axis)) }

  /// Without the axes of extent 1.
  public func squeezingShape() -> Self { Self(buffer.squeezed) }

  /// The same scalars in another layout.
  public func changingLayout(to bufferLayout: MLShapedArrayBufferLayout) -> Self {
    Self(buffer.copied(strides: bufferLayout.strides(of: shape)))
  }
}

extension MLShapedArray: Equatable where Scalar: Equatable {
  public static func == (left: Self, right: Self) -> Bool {
    left.shape == right.shape && left.scalars == right.scalars
  }
}

extension MLShapedArray: Hashable where Scalar: Hashable {
  public func hash(into hasher: inout Hasher) {
    hasher.combine(shape)
    hasher.combine(scalars)
  }
}

extension MLShapedArray: Codable where Scalar: Codable {
  private enum CodingKeys: String, CodingKey { case scalars, shape }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let shape = try container.decode([Int].self, forKey: .shape)
    let scalars = try container.decode([Scalar].self, forKey: .scalars)
    guard (try? Tensor.elementCount(of: shape, elementType: .float64)) == scalars.count else {
      throw DecodingError.dataCorruptedError(
        forKey: .scalars, in: container, debugDescription: "\(scalars.count) scalars do not fill shape \(shape)")
    }
    self.init(scalars: scalars, shape: shape)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(shape, forKey: .shape)
    try container.encode(scalars, forKey: .scalars)
  }
}

extension MLShapedArray: CustomStringConvertible {
  public var description: String { "MLShapedArray<\(Scalar.self)>(shape: \(shape))" }
}
