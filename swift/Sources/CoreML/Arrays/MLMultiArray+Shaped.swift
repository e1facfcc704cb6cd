import TintypeMLX

extension MLMultiArray {
  /// A copy of a shaped array.
  public convenience init<ShapedArray: MLShapedArrayProtocol>(_ shapedArray: ShapedArray) {
    self.init(zeros: shapedArray.shape, dataType: ShapedArray.Scalar.multiArrayDataType)
    shapedArray.withUnsafeShapedBufferPointer { pointer, shape, strides in
      guard let base = pointer.baseAddress else { return }
      TensorView(base: base, elementType: dataType.elementType, shape: shape, strides: strides)
        .copyElements(to: dataPointer)
    }
  }

  /// A new array in the layout that the strides give; its elements are zero.
  public convenience init(shape: [NSNumber], dataType: MLMultiArrayDataType, strides: [NSNumber]) {
    self.init(zeros: shape.map(\.intValue), dataType: dataType, strides: strides.map(\.intValue))
  }

  /// A new array in the layout that the strides give; its elements are zero.
  public convenience init(shape: [Int], dataType: MLMultiArrayDataType, strides: [Int]) {
    self.init(zeros: shape, dataType: dataType, strides: strides)
  }

  /// Copies the elements to an array of the same shape, converting them where its type differs.
  public func transfer(to destination: MLMultiArray) {
    precondition(extents == destination.extents, "shape \(extents) cannot be transferred to \(destination.extents)")
    copyElements(to: destination)
  }

  /// Calls `body` with the storage, padding included, as elements of the array's own type.
  public func withUnsafeBufferPointer<S: MLShapedArrayScalar, R>(
    ofType type: S.Type, _ body: (UnsafeBufferPointer<S>) throws -> R
  ) rethrows -> R {
    checkType(type)
    return try withUnsafeBytes { try body($0.bindMemory(to: type)) }
  }

  /// The same to write, with the strides in elements.
  public func withUnsafeMutableBufferPointer<S: MLShapedArrayScalar, R>(
    ofType type: S.Type, _ body: (UnsafeMutableBufferPointer<S>, [Int]) throws -> R
  ) rethrows -> R {
    checkType(type)
    return try withUnsafeMutableBytes { try body($0.bindMemory(to: type), $1) }
  }

  private func checkType<S: MLShapedArrayScalar>(_ type: S.Type) {
    precondition(dataType == S.multiArrayDataType, "a multi-array of \(dataType) has no elements of type \(type)")
  }
}

extension MLMultiArray: CustomStringConvertible {
  /// Type, shape and the first elements.
  public var description: String {
    let extent = extents.map { "\($0)" }.joined(separator: " × ")
    let shown = (0..<min(count, 16)).map { "\(self[$0])" }.joined(separator: ", ")
    return "\(dataType) \(extent) array [\(shown)\(count > 16 ? ", …" : "")]"
  }
}

extension UnsafeBufferPointer where Element: MLShapedArrayScalar {
  /// The elements of a contiguous multi-array of this type, valid as long as it is.
  public init(_ multiArray: MLMultiArray) throws {
    self.init(try UnsafeMutableBufferPointer(multiArray))
  }
}

extension UnsafeMutableBufferPointer where Element: MLShapedArrayScalar {
  /// The elements of a contiguous multi-array of this type, valid as long as it is.
  public init(_ multiArray: MLMultiArray) throws {
    guard multiArray.dataType == Element.multiArrayDataType, multiArray.view.isContiguous else {
      throw MLModelError(
        .generic, status: .invalidArgument,
        "no buffer of \(Element.self) can be made of a multi-array of \(multiArray.dataType) with shape "
          + "\(multiArray.extents) and strides \(multiArray.steps)")
    }
    let base = multiArray.dataPointer.bindMemory(to: Element.self, capacity: multiArray.count)
    self.init(start: base, count: multiArray.count)
  }
}
