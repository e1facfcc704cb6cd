import CoreVideo
import TintypeMLX

/// Numbers in several dimensions, with value semantics: the Swift counterpart of MLMultiArray.
public struct MLShapedArray<Scalar: MLShapedArrayScalar>: MLShapedArrayProtocol, Sendable {
  var buffer: ShapedBuffer<Scalar>

  /// Extents, one an axis.
  public var shape: [Int] { buffer.shape }
  /// In scalars. May be padded.
  public var strides: [Int] { buffer.strides }
  /// The first index of the first axis.
  public var startIndex: Int { 0 }
  /// The index behind the last one of the first axis.
  public var endIndex: Int { shape.first ?? 0 }

  init(_ buffer: ShapedBuffer<Scalar>) { self.buffer = buffer }

  /// An array over memory that is never written: a change of the array copies it first.
  public init(bytesNoCopy bytes: UnsafeRawPointer, shape: [Int], strides: [Int], deallocator: Data.Deallocator) {
    self.init(ShapedBuffer(bytesNoCopy: bytes, shape: shape, strides: strides, deallocator: deallocator))
  }

  /// A new array that the closure fills; it gets the memory and its strides.
  public init(
    unsafeUninitializedShape shape: [Int],
    initializingWith initializer: (inout UnsafeMutableBufferPointer<Scalar>, [Int]) throws -> Void
  ) rethrows {
    self.init(try ShapedBuffer(shape: shape, initializingWith: initializer))
  }

  /// An array over a pixel buffer of `OneComponent16Half`, whose scalars are `Float16`: as long as nobody shares it,
  /// changes of it go into the buffer. The last extent is the buffer's width, the product of the others its height.
  public init(mutating pixelBuffer: CVPixelBuffer, shape: [Int]) {
    self.init(ShapedBuffer(mutating: pixelBuffer, shape: shape))
  }

  /// Calls `body` with the pixel buffer that holds the scalars, not to be written; nil where none does.
  public func withPixelBufferIfAvailable<R>(_ body: (CVPixelBuffer) throws -> R) rethrows -> R? {
    try buffer.storage.pixelBuffer.map(body)
  }

  /// Calls `body` with the pixel buffer that holds the scalars, to write them; nil where none does, or others share it.
  public mutating func withMutablePixelBufferIfAvailable<R>(_ body: (CVPixelBuffer) throws -> R) rethrows -> R? {
    buffer.makeUnique()
    return try buffer.storage.pixelBuffer.map(body)
  }

  /// Calls `body` with the memory, the shape and the strides.
  public func withUnsafeShapedBufferPointer<R>(
    _ body: (UnsafeBufferPointer<Scalar>, [Int], [Int]) throws -> R
  ) rethrows -> R {
    try buffer.withPointer { try body($0, shape, strides) }
  }

  /// The same to write; the strides may differ from those before the call.
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
    buffer.lay(out: bufferLayout)
    return try withUnsafeMutableShapedBufferPointer(body)
  }

  /// The part at an index of the first axis, which disappears.
  public subscript(index: Int) -> MLShapedArraySlice<Scalar> {
    get { MLShapedArraySlice(buffer.part(at: [index])) }
    set { buffer.replace({ $0.part(at: [index]) }, with: newValue.scalars) }
  }

  /// The part in a range of the first axis.
  public subscript(bounds: Range<Int>) -> MLShapedArraySlice<Scalar> {
    get { MLShapedArraySlice(buffer.part(in: [bounds]), startIndex: bounds.lowerBound) }
    set { buffer.replace({ $0.part(in: [bounds]) }, with: newValue.scalars) }
  }

  /// The part at indices of the first axes, which disappear.
  public subscript<C: Collection>(indices: C) -> MLShapedArraySlice<Scalar> where C.Element == Int {
    get { MLShapedArraySlice(buffer.part(at: Array(indices))) }
    set { buffer.replace({ $0.part(at: Array(indices)) }, with: newValue.scalars) }
  }

  /// The part in ranges of the first axes.
  public subscript<C: Collection>(ranges: C) -> MLShapedArraySlice<Scalar> where C.Element == Range<Int> {
    get { MLShapedArraySlice(buffer.part(in: Array(ranges))) }
    set { buffer.replace({ $0.part(in: Array(ranges)) }, with: newValue.scalars) }
  }

  /// The scalar at one index an axis.
  public subscript<C: Collection>(scalarAt indices: C) -> Scalar where C.Element == Int {
    get { buffer[scalarAt: Array(indices)] }
    set { buffer[scalarAt: Array(indices)] = newValue }
  }

  /// The same scalars with the axes in another order.
  public func transposed(permutation: [Int]) -> Self { Self(buffer.transposed(permutation)) }

  /// The same scalars, in row-major order, under another shape.
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

// The members are MLShapedArrayProtocol's.
extension MLShapedArray: Equatable where Scalar: Equatable {}
extension MLShapedArray: Hashable where Scalar: Hashable {}
extension MLShapedArray: Codable where Scalar: Codable {}

extension MLShapedArray: CustomStringConvertible {
  /// Type of the scalars and shape; not the scalars.
  public var description: String { "MLShapedArray<\(Scalar.self)>(shape: \(shape))" }
}
