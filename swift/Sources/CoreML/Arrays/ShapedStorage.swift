import CoreVideo
import TintypeMLX

/// Memory that shaped arrays share. Only memory of its own is ever written, and only by its single user.
final class ShapedStorage<Scalar: MLShapedArrayScalar>: @unchecked Sendable {
  let base: UnsafeMutablePointer<Scalar>
  let isOwn: Bool
  /// The pixel buffer that the memory belongs to, if one does.
  let pixelBuffer: CVPixelBuffer?
  private let release: () -> Void

  /// New memory, zeroed.
  init(count: Int) {
    let zeros = Tensor.zerosOrTrap(count, Scalar.multiArrayDataType.elementType)
    base = UnsafeMutableRawPointer(mutating: zeros.view.base).bindMemory(to: Scalar.self, capacity: count)
    isOwn = true
    pixelBuffer = nil
    release = { withExtendedLifetime(zeros) {} }
  }

  /// Somebody else's memory, which `owner` keeps.
  init(lent base: UnsafeRawPointer, count: Int, owner: Any, pixelBuffer: CVPixelBuffer? = nil) {
    self.base = UnsafeMutableRawPointer(mutating: base).bindMemory(to: Scalar.self, capacity: count)
    isOwn = false
    self.pixelBuffer = pixelBuffer
    release = { withExtendedLifetime(owner) {} }
  }

  /// A pixel buffer's memory, which is written as if it were the array's own.
  init(_ pixels: HalfPixels, count: Int) {
    base = pixels.base.bindMemory(to: Scalar.self, capacity: count)
    isOwn = true
    pixelBuffer = pixels.buffer
    release = { pixels.unlock() }
  }

  deinit { release() }
}
