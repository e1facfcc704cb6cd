// Values in and out. Reads convert; where a value does not fit the target type, it takes the nearest one.

extension Tensor {
  /// A float32 tensor; the values must fill the shape.
  public init(shape: [Int], floats: [Float]) throws {
    try self.init(shape: shape, elementType: .float32, copying: floats)
  }

  /// An int32 tensor; the values must fill the shape.
  public init(shape: [Int], int32s: [Int32]) throws {
    try self.init(shape: shape, elementType: .int32, copying: int32s)
  }

  /// A float16 tensor from the elements' bits.
  public init(shape: [Int], float16Bits: [UInt16]) throws {
    try self.init(shape: shape, elementType: .float16, copying: float16Bits)
  }

  /// A copy of contiguous bytes.
  public init(shape: [Int], elementType: ElementType, bytes: UnsafeRawBufferPointer) throws {
    let expected = try Tensor.elementCount(of: shape, elementType: elementType) * elementType.size
    guard bytes.count == expected else {
      throw TensorError.byteCount(shape: shape, elementType: elementType, expected: expected, actual: bytes.count)
    }
    try self.init(shape: shape, elementType: elementType) { $0.copyMemory(from: bytes) }
  }

  /// A tensor of zeros.
  public static func zeros(shape: [Int], elementType: ElementType) throws -> Tensor {
    try Tensor(shape: shape, elementType: elementType) { _ in }
  }

  private init<Element: BitwiseCopyable>(shape: [Int], elementType: ElementType, copying values: [Element]) throws {
    let expected = try Tensor.elementCount(of: shape, elementType: elementType)
    guard values.count == expected else {
      throw TensorError.elementCount(shape: shape, expected: expected, actual: values.count)
    }
    try self.init(shape: shape, elementType: elementType) { target in
      values.withUnsafeBytes { target.copyMemory(from: $0) }
    }
  }

  /// All elements as float32.
  public func floats() -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { target, initialized in
      convert(to: target)
      initialized = target.count
    }
  }

  /// All elements as int32; floats are truncated towards zero.
  public func int32s() -> [Int32] {
    switch elementType {
    case .int32: withUnsafeBytes { Array($0.bindMemory(to: Int32.self)) }
    case .bool, .uint8: integers(UInt8.self)
    case .int8: integers(Int8.self)
    case .int16: integers(Int16.self)
    case .uint16: integers(UInt16.self)
    case .uint32: integers(UInt32.self)
    case .int64: integers(Int64.self)
    case .float64: withUnsafeBytes { $0.bindMemory(to: Double.self).map(Int32.init(nearest:)) }
    case .float16, .float32: floats().map { Int32(nearest: Double($0)) }
    }
  }

  /// The same values in another element type; the tensor itself when it has that type already.
  public func converted(to target: ElementType) throws -> Tensor {
    if target == elementType { return self }
    return try Tensor(shape: shape, elementType: target) { bytes in
      switch target {
      case .float32: convert(to: bytes.bindMemory(to: Float.self))
      case .float16: convertToHalf(bytes.bindMemory(to: UInt16.self))
      case .float64: store(doubles(), in: bytes)
      case .int32: store(int32s(), in: bytes)
      case .int8: store(doubles().map { Int8(nearest: $0) }, in: bytes)
      case .uint8: store(doubles().map { UInt8(nearest: $0) }, in: bytes)
      case .int16: store(doubles().map { Int16(nearest: $0) }, in: bytes)
      case .uint16: store(doubles().map { UInt16(nearest: $0) }, in: bytes)
      case .uint32: store(doubles().map { UInt32(nearest: $0) }, in: bytes)
      case .int64: store(doubles().map { Int64(nearest: $0) }, in: bytes)
      case .bool: store(doubles().map { $0 == 0 ? UInt8(0) : 1 }, in: bytes)
      }
    }
  }

  /// All elements as the bits of float16.
  public func float16Bits() -> [UInt16] {
    [UInt16](unsafeUninitializedCapacity: count) { target, initialized in
      convertToHalf(target)
      initialized = target.count
    }
  }

  /// All elements as float64.
  public func doubles() -> [Double] {
    switch elementType {
    case .float64: withUnsafeBytes { Array($0.bindMemory(to: Double.self)) }
    case .int64: withUnsafeBytes { $0.bindMemory(to: Int64.self).map(Double.init) }
    case .uint32: withUnsafeBytes { $0.bindMemory(to: UInt32.self).map(Double.init) }
    case .int32: withUnsafeBytes { $0.bindMemory(to: Int32.self).map(Double.init) }
    default: floats().map(Double.init)
    }
  }

  private func convert(to target: UnsafeMutableBufferPointer<Float>) {
    withUnsafeBytes { source in
      switch elementType {
      case .float32: UnsafeMutableRawBufferPointer(target).copyMemory(from: source)
      case .float16: fill(target, from: source.bindMemory(to: UInt16.self)) { Half.float($0) }
      case .float64: fill(target, from: source.bindMemory(to: Double.self)) { Float($0) }
      case .bool, .uint8: fill(target, from: source.bindMemory(to: UInt8.self)) { Float($0) }
      case .int8: fill(target, from: source.bindMemory(to: Int8.self)) { Float($0) }
      case .int16: fill(target, from: source.bindMemory(to: Int16.self)) { Float($0) }
      case .uint16: fill(target, from: source.bindMemory(to: UInt16.self)) { Float($0) }
      case .int32: fill(target, from: source.bindMemory(to: Int32.self)) { Float($0) }
      case .uint32: fill(target, from: source.bindMemory(to: UInt32.self)) { Float($0) }
      case .int64: fill(target, from: source.bindMemory(to: Int64.self)) { Float($0) }
      }
    }
  }

  private func convertToHalf(_ target: UnsafeMutableBufferPointer<UInt16>) {
    switch elementType {
    case .float16: withUnsafeBytes { UnsafeMutableRawBufferPointer(target).copyMemory(from: $0) }
    case .float32: withUnsafeBytes { fill(target, from: $0.bindMemory(to: Float.self)) { Half.bits($0) } }
    default: floats().withUnsafeBufferPointer { fill(target, from: $0) { Half.bits($0) } }
    }
  }

  private func integers<Source: FixedWidthInteger>(_: Source.Type) -> [Int32] {
    withUnsafeBytes { $0.bindMemory(to: Source.self).map { Int32(clamping: $0) } }
  }

  private func store<Element: BitwiseCopyable>(_ values: [Element], in target: UnsafeMutableRawBufferPointer) {
    values.withUnsafeBytes { target.copyMemory(from: $0) }
  }
}

@inline(__always)
private func fill<Source, Target>(
  _ target: UnsafeMutableBufferPointer<Target>, from source: UnsafeBufferPointer<Source>,
  _ convert: (Source) -> Target
) {
  guard let output = target.baseAddress, let input = source.baseAddress else { return }
  for index in 0..<min(target.count, source.count) { output[index] = convert(input[index]) }
}

extension FixedWidthInteger {
  /// Truncates towards zero; NaN becomes 0, what does not fit the nearest end.
  fileprivate init(nearest value: Double) {
    if value.isNaN {
      self = 0
    } else if let exact = Self(exactly: value.rounded(.towardZero)) {
      self = exact
    } else {
      self = value < 0 ? .min : .max
    }
  }
}
