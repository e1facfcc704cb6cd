import TintypeMLX

/// The types of number that a tensor can hold.
public protocol MLTensorScalar: BitwiseCopyable, Sendable {
  /// The same type, as the engine names it.
  static var elementType: ElementType { get }
}

extension Float: MLTensorScalar { public static var elementType: ElementType { .float32 } }
extension Float16: MLTensorScalar { public static var elementType: ElementType { .float16 } }
extension Int8: MLTensorScalar { public static var elementType: ElementType { .int8 } }
extension Int16: MLTensorScalar { public static var elementType: ElementType { .int16 } }
extension Int32: MLTensorScalar { public static var elementType: ElementType { .int32 } }
extension UInt8: MLTensorScalar { public static var elementType: ElementType { .uint8 } }
extension UInt16: MLTensorScalar { public static var elementType: ElementType { .uint16 } }
extension UInt32: MLTensorScalar { public static var elementType: ElementType { .uint32 } }
extension Bool: MLTensorScalar { public static var elementType: ElementType { .bool } }

/// Numbers or truth values in several dimensions, with the operations around a model's predictions.
///
/// Here every operation computes at once, on the CPU, one scalar after the other: it is meant for what surrounds a
/// model (masks, logits, sampling), not to be one. Where types differ, the operands take the wider one, floats before
/// integers.
public struct MLTensor: Sendable {
  let tensor: Tensor

  init(_ tensor: Tensor) { self.tensor = tensor }

  /// A tensor whose bytes `fill` writes; they are zero before. Like Apple's initialisers it does not fail.
  init(
    shape: [Int], _ type: ElementType, fill: (UnsafeMutableRawBufferPointer) throws -> Void
  ) rethrows {
    guard let made = try? Tensor.zeros(shape: shape, elementType: type) else {
      preconditionFailure("no tensor of shape \(shape) can be made")
    }
    // Nobody else has it yet, so it may be written.
    try made.withUnsafeBytes { try fill(UnsafeMutableRawBufferPointer(mutating: $0)) }
    tensor = made
  }

  /// Extents, one an axis.
  public var shape: [Int] { tensor.shape }
  /// Number of axes.
  public var rank: Int { shape.count }
  /// Whether there are no axes, just one scalar.
  public var isScalar: Bool { shape.isEmpty }
  /// Number of scalars.
  public var scalarCount: Int { tensor.count }

  /// The type of the scalars.
  public var scalarType: any MLTensorScalar.Type {
    switch tensor.elementType {
    case .float16: Float16.self
    case .int8: Int8.self
    case .int16: Int16.self
    case .int32, .int64: Int32.self
    case .uint8: UInt8.self
    case .uint16: UInt16.self
    case .uint32: UInt32.self
    case .bool: Bool.self
    case .float32, .float64: Float.self
    }
  }

  /// The scalars, converted where they have another type.
  public func shapedArray<Scalar: MLShapedArrayScalar & MLTensorScalar>(
    of scalarType: Scalar.Type
  ) async -> MLShapedArray<Scalar> {
    let values = cast(to: Scalar.elementType).tensor
    return MLShapedArray(unsafeUninitializedShape: shape) { target, _ in
      values.withUnsafeBytes { UnsafeMutableRawBufferPointer(target).copyMemory(from: $0) }
    }
  }

  /// The scalars in another type; floats lose their fractions where integers are asked for.
  public func cast<Scalar: MLTensorScalar>(to scalarType: Scalar.Type) -> MLTensor { cast(to: Scalar.elementType) }

  /// The scalars in another tensor's type.
  public func cast(like other: MLTensor) -> MLTensor { cast(to: other.tensor.elementType) }

  func cast(to type: ElementType) -> MLTensor {
    if type == tensor.elementType { return self }
    let truncates = tensor.elementType.isFloatingPoint && !type.isFloatingPoint && type != .bool
    return MLTensor(values: values.map { truncates ? $0.rounded(.towardZero) : $0 }, shape: shape, type)
  }

  /// All scalars as doubles, which hold every scalar type's values.
  var values: [Double] { tensor.doubles() }

  init(values: [Double], shape: [Int], _ type: ElementType) {
    guard
      let wide = try? Tensor(
        shape: shape, elementType: .float64,
        fill: { bytes in
          values.withUnsafeBytes { bytes.copyMemory(from: $0) }
        }), let made = try? wide.converted(to: type)
    else { preconditionFailure("\(values.count) scalars do not fill the shape \(shape)") }
    tensor = made
  }
}

extension MLTensor {
  /// Scalars in row-major order; there must be as many as the shape has.
  public init<Scalar: MLTensorScalar>(
    shape: [Int], scalars: some Collection<Scalar>, scalarType: Scalar.Type = Scalar.self
  ) {
    let scalars = Array(scalars)
    let count = ShapedBuffer<Float>.count(of: shape)
    precondition(scalars.count == count, "shape \(shape) takes \(count) scalars, got \(scalars.count)")
    self.init(shape: shape, Scalar.elementType) { bytes in scalars.withUnsafeBytes { bytes.copyMemory(from: $0) } }
  }

  /// Floats in row-major order.
  public init(shape: [Int], scalars: some Collection<Float>) {
    self.init(shape: shape, scalars: scalars, scalarType: Float.self)
  }

  /// A vector.
  public init<Scalar: MLTensorScalar>(_ scalars: some Collection<Scalar>, scalarType: Scalar.Type) {
    self.init(shape: [scalars.count], scalars: scalars, scalarType: Scalar.self)
  }

  /// A vector of floats.
  public init(_ scalars: some Collection<Float>) { self.init(scalars, scalarType: Float.self) }

  /// A vector of integers.
  public init(_ scalars: some Collection<Int32>) { self.init(scalars, scalarType: Int32.self) }

  /// One scalar, no axes.
  public init<Scalar: MLTensorScalar>(_ scalar: Scalar, scalarType: Scalar.Type = Scalar.self) {
    self.init(shape: [], scalars: [scalar], scalarType: Scalar.self)
  }

  /// The scalars of a shaped array.
  public init<ShapedArray: MLShapedArrayProtocol>(_ shapedArray: ShapedArray)
  where ShapedArray.Scalar: MLTensorScalar {
    self.init(shape: shapedArray.shape, scalars: shapedArray.scalars, scalarType: ShapedArray.Scalar.self)
  }

  /// The same scalar everywhere.
  public init<Scalar: MLTensorScalar>(repeating value: Scalar, shape: [Int], scalarType: Scalar.Type = Scalar.self) {
    let count = ShapedBuffer<Float>.count(of: shape)
    self.init(shape: shape, scalars: repeatElement(value, count: count), scalarType: Scalar.self)
  }

  /// The same float everywhere.
  public init(repeating value: Float, shape: [Int]) {
    self.init(repeating: value, shape: shape, scalarType: Float.self)
  }

  /// Zeros.
  public init<Scalar: MLTensorScalar>(zeros shape: [Int], scalarType: Scalar.Type) {
    self.init(shape: shape, Scalar.elementType) { _ in }
  }

  /// Ones.
  public init<Scalar: MLTensorScalar & Numeric>(ones shape: [Int], scalarType: Scalar.Type) {
    self.init(repeating: 1, shape: shape, scalarType: Scalar.self)
  }

  /// start, start + step, …, up to but not with `end`.
  public init<Scalar: MLTensorScalar & Strideable>(
    rangeFrom start: Scalar, to end: Scalar, by step: Scalar.Stride, scalarType: Scalar.Type = Scalar.self
  ) {
    self.init(Array(stride(from: start, to: end, by: step)), scalarType: Scalar.self)
  }

  /// `count` floats from `start` to `end`, both included, equally far from each other.
  public init(linearSpaceFrom start: Float, through end: Float, count: Int) {
    let step = count > 1 ? (end - start) / Float(count - 1) : 0
    self.init((0..<count).map { start + Float($0) * step })
  }

  /// Memory that the closure fills, row-major.
  public init(
    unsafeUninitializedShape shape: [Int], scalarType: any MLTensorScalar.Type,
    initializingWith initializer: (UnsafeMutableRawBufferPointer) throws -> Void
  ) rethrows {
    try self.init(shape: shape, scalarType.elementType, fill: initializer)
  }

  /// A copy of bytes in row-major order.
  public init(shape: [Int], data: Data, scalarType: any MLTensorScalar.Type) {
    let needed = ShapedBuffer<Float>.count(of: shape) * scalarType.elementType.size
    precondition(data.count == needed, "shape \(shape) takes \(needed) bytes, got \(data.count)")
    self.init(shape: shape, scalarType.elementType) { bytes in data.withUnsafeBytes { bytes.copyMemory(from: $0) } }
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

extension MLTensor: ExpressibleByArrayLiteral, CustomStringConvertible {
  /// Tensors of one shape, stacked along a new first axis.
  public init(arrayLiteral elements: MLTensor...) { self.init(stacking: elements) }

  public var description: String { "MLTensor(shape: \(shape), scalarType: \(scalarType))" }
}
