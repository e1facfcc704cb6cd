import CoreVideo
import TintypeMLX

/// A machine-learning collection type that stores numeric values in an array with several dimensions.
open class MLMultiArray {
  /// The type of the elements.
  public let dataType: MLMultiArrayDataType
  /// Extents, one an axis.
  public let shape: [NSNumber]
  /// In elements. May be padded: never assume that the elements are contiguous.
  public let strides: [NSNumber]
  /// The first element.
  public let dataPointer: UnsafeMutableRawPointer
  /// Number of elements.
  public let count: Int

  let extents: [Int]
  let steps: [Int]
  /// The pixel buffer that holds the elements, if one does.
  public let pixelBuffer: CVPixelBuffer?
  private let release: () -> Void

  private init(
    base: UnsafeMutableRawPointer, extents: [Int], steps: [Int], dataType: MLMultiArrayDataType,
    pixelBuffer: CVPixelBuffer? = nil, release: @escaping () -> Void
  ) {
    self.pixelBuffer = pixelBuffer
    self.dataPointer = base
    self.extents = extents
    self.steps = steps
    self.dataType = dataType
    self.release = release
    shape = extents.map { NSNumber(value: $0) }
    strides = steps.map { NSNumber(value: $0) }
    count = extents.reduce(1, *)
  }

  deinit { release() }

  /// A new array; its elements are zero. Throws `MLModelError.generic` where there is not that much memory.
  public convenience init(shape: [NSNumber], dataType: MLMultiArrayDataType) throws {
    let zeros = try MLMultiArray.asCoreMLError {
      try Tensor.zeros(shape: shape.map(\.intValue), elementType: dataType.elementType)
    }
    self.init(zeros, dataType: dataType)
  }

  /// A new array of zeros. A shape that is none, or more than there is memory for, ends the process.
  convenience init(zeros extents: [Int], dataType: MLMultiArrayDataType, strides: [Int]? = nil) {
    let steps = strides ?? TensorView.contiguousStrides(of: extents)
    precondition(steps.count == extents.count, "shape \(extents) needs \(extents.count) strides, got \(steps.count)")
    let span = extents.contains(0) ? 0 : zip(extents, steps).reduce(1) { $0 + ($1.0 - 1) * $1.1 }
    let zeros = Tensor.zerosOrTrap(max(span, extents.reduce(1, *)), dataType.elementType)
    self.init(
      base: UnsafeMutableRawPointer(mutating: zeros.view.base), extents: extents, steps: steps, dataType: dataType,
      release: { withExtendedLifetime(zeros) {} })
  }

  /// An array over memory that the caller owns; `deallocator` runs when the array is gone.
  public convenience init(
    dataPointer: UnsafeMutableRawPointer, shape: [NSNumber], dataType: MLMultiArrayDataType, strides: [NSNumber],
    deallocator: ((UnsafeMutableRawPointer) -> Void)? = nil
  ) throws {
    let extents = shape.map(\.intValue)
    _ = try MLMultiArray.asCoreMLError {
      try Tensor.elementCount(of: extents, elementType: dataType.elementType)
    }
    guard strides.count == extents.count else {
      throw MLModelError(
        .generic, status: .invalidArgument,
        "a multi-array of shape \(extents) needs \(extents.count) strides, got \(strides.count)")
    }
    self.init(
      base: dataPointer, extents: extents, steps: strides.map(\.intValue), dataType: dataType,
      release: { deallocator?(dataPointer) })
  }

  /// An array over a pixel buffer of 16-bit floats. The last extent must be the buffer's width, the product of the
  /// others its height; rows may be padded.
  public convenience init(pixelBuffer: CVPixelBuffer, shape: [NSNumber]) {
    let extents = shape.map(\.intValue)
    let pixels = HalfPixels(pixelBuffer, shape: extents)
    self.init(
      base: pixels.base, extents: extents, steps: pixels.steps, dataType: .float16, pixelBuffer: pixelBuffer,
      release: { pixels.unlock() })
  }

  /// Joins arrays along an axis. They must agree in all other extents.
  public convenience init(concatenating multiArrays: [MLMultiArray], axis: Int, dataType: MLMultiArrayDataType) {
    precondition(!multiArrays.isEmpty, "nothing to concatenate")
    let first = multiArrays[0].extents
    let axis = axis < 0 ? axis + first.count : axis
    precondition(first.indices.contains(axis), "axis \(axis) is outside of shape \(first)")
    var extents = first
    extents[axis] = 0
    for array in multiArrays {
      var others = array.extents
      precondition(others.count == first.count, "shapes \(first) and \(others) have different ranks")
      extents[axis] += others[axis]
      others[axis] = first[axis]
      precondition(others == first, "shapes \(first) and \(array.extents) differ outside of axis \(axis)")
    }
    self.init(zeros: extents, dataType: dataType)
    var offset = 0
    for array in multiArrays {
      array.copyElements(to: self, offset: offset * steps[axis])
      offset += array.extents[axis]
    }
  }

  /// An array over an engine's output, without a copy.
  convenience init(_ tensor: Tensor, dataType: MLMultiArrayDataType) {
    let view = tensor.view
    self.init(
      base: UnsafeMutableRawPointer(mutating: view.base), extents: view.shape, steps: view.strides,
      dataType: dataType, release: { withExtendedLifetime(tensor) {} })
  }

  private static func asCoreMLError<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as TensorError {
      let status: EngineStatus = if case .outOfMemory = error { .outOfMemory } else { .invalidArgument }
      throw MLModelError(.generic, status: status, "no multi-array can be made: \(error)")
    }
  }

  /// The elements, wherever they lie.
  var view: TensorView {
    TensorView(base: dataPointer, elementType: dataType.elementType, shape: extents, strides: steps)
  }

  /// Bytes from the first element to the end of the last one.
  var spannedBytes: Int {
    if count == 0 { return 0 }
    let last = zip(extents, steps).reduce(0) { $0 + ($1.0 - 1) * $1.1 }
    return (last + 1) * dataType.elementType.size
  }
}

extension Tensor {
  /// A vector of zeros, for arrays whose initializers, as Apple's, cannot throw.
  static func zerosOrTrap(_ count: Int, _ elementType: ElementType) -> Tensor {
    do {
      return try Tensor.zeros(shape: [count], elementType: elementType)
    } catch {
      preconditionFailure("no array can be made: \(error)")
    }
  }
}
