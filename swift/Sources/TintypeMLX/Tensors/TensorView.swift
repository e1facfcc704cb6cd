/// Elements that somebody else owns, under any strides. Valid only as long as its owner says.
public struct TensorView {
  /// The first element.
  public let base: UnsafeRawPointer
  /// What every element is.
  public let elementType: ElementType
  /// Extents from the outermost axis to the innermost; empty for a scalar.
  public let shape: [Int]
  /// In elements; may be padded, zero or negative.
  public let strides: [Int]

  /// A view of memory that somebody else keeps.
  public init(base: UnsafeRawPointer, elementType: ElementType, shape: [Int], strides: [Int]) {
    self.base = base
    self.elementType = elementType
    self.shape = shape
    self.strides = strides
  }

  /// Whether the elements lie one after the other in row-major order.
  public var isContiguous: Bool {
    if shape.contains(0) { return true }
    var expected = 1
    for (extent, stride) in zip(shape, strides).reversed() where extent != 1 {
      if stride != expected { return false }
      expected &*= extent
    }
    return true
  }

  /// Copies the elements to `target`, which must have room for all of them: in row-major order, or under strides of its
  /// own (in elements).
  public func copyElements(to target: UnsafeMutableRawPointer, strides targetStrides: [Int]? = nil) {
    if shape.contains(0) { return }
    let placed = targetStrides ?? TensorView.contiguousStrides(of: shape)
    // The trailing axes that are contiguous on both sides are copied as one run.
    var axis = shape.count
    var run = 1
    while axis > 0, shape[axis - 1] == 1 || (strides[axis - 1] == run && placed[axis - 1] == run) {
      run *= shape[axis - 1]
      axis -= 1
    }
    let size = elementType.size
    var index = [Int](repeating: 0, count: axis)
    var source = base
    var output = target
    while true {
      output.copyMemory(from: source, byteCount: run * size)
      // Advance like an odometer.
      var position = axis - 1
      while position >= 0 {
        index[position] += 1
        source += strides[position] * size
        output += placed[position] * size
        if index[position] < shape[position] { break }
        source -= shape[position] * strides[position] * size
        output -= shape[position] * placed[position] * size
        index[position] = 0
        position -= 1
      }
      if position < 0 { return }
    }
  }

  /// Row-major strides of a shape. (Those of a shape without elements may not fit an integer; they count for nothing.)
  public static func contiguousStrides(of shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    var stride = 1
    for axis in shape.indices.reversed() {
      strides[axis] = stride
      stride &*= max(shape[axis], 1)
    }
    return strides
  }
}

extension Tensor {
  /// The elements where they lie. Valid as long as this tensor, or a copy of it, is.
  public var view: TensorView {
    TensorView(
      base: storage.base, elementType: elementType, shape: shape, strides: TensorView.contiguousStrides(of: shape))
  }

  /// A contiguous copy of a view.
  public init(copying view: TensorView) throws {
    try self.init(shape: view.shape, elementType: view.elementType) { target in
      if let base = target.baseAddress { view.copyElements(to: base) }
    }
  }
}
