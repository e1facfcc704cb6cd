import TintypeMLX

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
    let values = cast(to: Scalar._elementType).tensor
    return MLShapedArray(unsafeUninitializedShape: shape) { target, _ in
      values.withUnsafeBytes { UnsafeMutableRawBufferPointer(target).copyMemory(from: $0) }
    }
  }

  /// The scalars in another type; floats lose their fractions where integers are asked for.
  public func cast<Scalar: MLTensorScalar>(to scalarType: Scalar.Type) -> MLTensor { cast(to: Scalar._elementType) }

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

extension MLTensor: CustomStringConvertible, CustomReflectable {
  /// Shape and type of scalar; not the scalars.
  public var description: String { "MLTensor(shape: \(shape), scalarType: \(scalarType))" }

  /// What debuggers show: shape and type of scalar.
  public var customMirror: Mirror {
    Mirror(self, children: ["shape": shape, "scalarType": scalarType], displayStyle: .struct)
  }
}
