import TintypeMLX

extension MLMultiArray {
  /// The element at a position in C order, whatever the strides.
  public subscript(idx: Int) -> NSNumber {
    get { number(at: offset(ofElement: idx)) }
    set { set(newValue.doubleValue, at: offset(ofElement: idx)) }
  }

  /// The element at one index a dimension.
  public subscript(key: [NSNumber]) -> NSNumber {
    get { number(at: offset(of: key.map(\.intValue))) }
    set { set(newValue.doubleValue, at: offset(of: key.map(\.intValue))) }
  }

  /// Calls `body` with the storage, padding included.
  public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try withExtendedLifetime(self) {
      try body(UnsafeRawBufferPointer(start: dataPointer, count: spannedBytes))
    }
  }

  /// Calls `body` with the storage, padding included, and its strides in elements.
  public func withUnsafeMutableBytes<R>(_ body: (UnsafeMutableRawBufferPointer, [Int]) throws -> R) rethrows -> R {
    try withExtendedLifetime(self) {
      try body(UnsafeMutableRawBufferPointer(start: dataPointer, count: spannedBytes), steps)
    }
  }

  /// A vector of integers, as int32.
  public convenience init<C>(_ data: C) throws where C: Collection, C.Element: FixedWidthInteger {
    try self.init(shape: [NSNumber(value: data.count)], dataType: .int32)
    let target = dataPointer.bindMemory(to: Int32.self, capacity: data.count)
    for (index, value) in data.enumerated() { target[index] = Int32(clamping: value) }
  }

  /// A vector of floats, as float32.
  public convenience init<C>(_ data: C) throws where C: Collection, C.Element == Float {
    try self.init(shape: [NSNumber(value: data.count)], dataType: .float32)
    let target = dataPointer.bindMemory(to: Float.self, capacity: data.count)
    for (index, value) in data.enumerated() { target[index] = value }
  }

  /// A vector of doubles, as float64.
  public convenience init<C>(_ data: C) throws where C: Collection, C.Element == Double {
    try self.init(shape: [NSNumber(value: data.count)], dataType: .double)
    let target = dataPointer.bindMemory(to: Double.self, capacity: data.count)
    for (index, value) in data.enumerated() { target[index] = value }
  }

  /// Takes over the elements of a tensor of the same shape and type, row by row where the strides are padded.
  func copyElements(of tensor: Tensor) {
    tensor.view.copyElements(to: dataPointer, strides: steps)
  }

  /// Copies all elements to another array, which has room for them from the element at `offset` on; they are converted
  /// where its type is another one.
  func copyElements(to target: MLMultiArray, offset: Int = 0) {
    let place = target.dataPointer + offset * target.dataType.elementType.size
    if dataType == target.dataType { return view.copyElements(to: place, strides: target.steps) }
    do {
      let converted = try Tensor(copying: view).converted(to: target.dataType.elementType)
      converted.view.copyElements(to: place, strides: target.steps)
    } catch {
      // The only error, and no caller's signature has room for it.
      preconditionFailure("\(count) elements are more than there is memory for")
    }
  }

  func offset(of index: [Int]) -> Int {
    precondition(index.count == extents.count, "\(index.count) indices for shape \(extents)")
    var offset = 0
    for axis in index.indices {
      precondition((0..<extents[axis]).contains(index[axis]), "index \(index) is outside of shape \(extents)")
      offset += index[axis] * steps[axis]
    }
    return offset
  }

  private func offset(ofElement element: Int) -> Int {
    precondition((0..<count).contains(element), "element \(element) of \(count)")
    return offset(of: index(ofElement: element))
  }

  private func index(ofElement element: Int) -> [Int] {
    var index = [Int](repeating: 0, count: extents.count)
    var rest = element
    for axis in extents.indices.reversed() {
      index[axis] = rest % extents[axis]
      rest /= extents[axis]
    }
    return index
  }

  func double(at offset: Int) -> Double { number(at: offset).doubleValue }

  private func number(at offset: Int) -> NSNumber {
    switch dataType {
    case .double: NSNumber(value: load(Double.self, at: offset))
    case .float32: NSNumber(value: load(Float.self, at: offset))
    case .float16: NSNumber(value: Float(load(Float16.self, at: offset)))
    case .int32: NSNumber(value: load(Int32.self, at: offset))
    case .int8: NSNumber(value: load(Int8.self, at: offset))
    }
  }

  func set(_ value: Double, at offset: Int) {
    switch dataType {
    case .double: store(value, at: offset)
    case .float32: store(Float(value), at: offset)
    case .float16: store(Float16(value), at: offset)
    case .int32: store(Int32(exactly: value.rounded(.towardZero)) ?? (value < 0 ? .min : .max), at: offset)
    case .int8: store(Int8(exactly: value.rounded(.towardZero)) ?? (value < 0 ? .min : .max), at: offset)
    }
  }

  private func load<Element: BitwiseCopyable>(_: Element.Type, at offset: Int) -> Element {
    dataPointer.load(fromByteOffset: offset * MemoryLayout<Element>.size, as: Element.self)
  }

  private func store<Element: BitwiseCopyable>(_ value: Element, at offset: Int) {
    dataPointer.storeBytes(of: value, toByteOffset: offset * MemoryLayout<Element>.size, as: Element.self)
  }
}
