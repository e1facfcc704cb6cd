#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// An n-dimensional array of one element type, contiguous in row-major order and immutable once made.
///
/// Copies share the storage, so passing tensors about costs nothing; the storage may also belong to a backend
/// (a prediction's output), which is released with the last tensor that uses it.
public struct Tensor: Sendable {
  /// Extents from the outermost axis to the innermost; empty for a scalar.
  public let shape: [Int]
  /// What every element is.
  public let elementType: ElementType
  let storage: TensorStorage

  /// Number of elements.
  public var count: Int { storage.byteCount / elementType.size }
  /// Bytes of all elements.
  public var byteCount: Int { storage.byteCount }

  /// Makes a tensor whose bytes `fill` writes; they are zero before.
  public init(
    shape: [Int], elementType: ElementType, fill: (UnsafeMutableRawBufferPointer) throws -> Void
  ) throws {
    let count = try Tensor.elementCount(of: shape, elementType: elementType)
    let byteCount = count * elementType.size
    guard let storage = TensorStorage(byteCount: byteCount) else {
      throw TensorError.outOfMemory(shape: shape, byteCount: byteCount)
    }
    try fill(UnsafeMutableRawBufferPointer(start: storage.base, count: storage.byteCount))
    self.init(shape: shape, elementType: elementType, storage: storage)
  }

  /// Takes over memory that somebody else allocated: `release` runs when the last tensor is gone.
  public init(
    shape: [Int], elementType: ElementType, taking base: UnsafeMutableRawPointer,
    release: @escaping @Sendable () -> Void
  ) throws {
    let count = try Tensor.elementCount(of: shape, elementType: elementType)
    let storage = TensorStorage(base: base, byteCount: count * elementType.size, release: release)
    self.init(shape: shape, elementType: elementType, storage: storage)
  }

  init(shape: [Int], elementType: ElementType, storage: TensorStorage) {
    self.shape = shape
    self.elementType = elementType
    self.storage = storage
  }

  /// The contiguous bytes, row-major, in the machine's byte order.
  public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try withExtendedLifetime(storage) {
      try body(UnsafeRawBufferPointer(start: storage.base, count: storage.byteCount))
    }
  }

  /// The same elements under another shape.
  public func reshaped(to shape: [Int]) throws -> Tensor {
    let count = try Tensor.elementCount(of: shape, elementType: elementType)
    guard count == self.count else {
      throw TensorError.elementCount(shape: shape, expected: count, actual: self.count)
    }
    return Tensor(shape: shape, elementType: elementType, storage: storage)
  }

  /// Elements of a shape; refuses negative extents and sizes that overflow.
  public static func elementCount(of shape: [Int], elementType: ElementType) throws -> Int {
    var count = 1
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard extent >= 0, !overflow else { throw TensorError.invalidShape(shape) }
      count = product
    }
    guard !count.multipliedReportingOverflow(by: elementType.size).overflow else {
      throw TensorError.invalidShape(shape)
    }
    return count
  }
}

/// Memory of a tensor. Written only before the first tensor shares it, hence safe to share between threads.
final class TensorStorage: @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  let byteCount: Int
  private let release: @Sendable () -> Void

  /// Zeroed memory of its own, aligned for vector loads; nil when there is not that much. (Swift's own allocation
  /// would end the process, and the size may come from a C caller.)
  init?(byteCount: Int) {
    var memory: UnsafeMutableRawPointer?
    guard posix_memalign(&memory, 64, max(byteCount, 1)) == 0, let base = memory else { return nil }
    memset(base, 0, byteCount)
    self.base = base
    self.byteCount = byteCount
    nonisolated(unsafe) let owned = base
    release = { free(owned) }
  }

  init(base: UnsafeMutableRawPointer, byteCount: Int, release: @escaping @Sendable () -> Void) {
    self.base = base
    self.byteCount = byteCount
    self.release = release
  }

  deinit { release() }
}
