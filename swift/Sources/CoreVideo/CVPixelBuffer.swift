// Names are Core Video's.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Pixels in memory.
public typealias CVPixelBuffer = CVBuffer
/// Pixels in memory, as frameworks that take any image name them.
public typealias CVImageBuffer = CVBuffer

/// A picture in memory: rows from the top, each perhaps padded. Made by `CVPixelBufferCreate`.
public final class CVBuffer {
  let width: Int
  let height: Int
  let format: OSType
  let bytesPerRow: Int
  let base: UnsafeMutableRawPointer
  private let release: () -> Void
  private let lockCount = Atomic(0)

  init(
    width: Int, height: Int, format: OSType, bytesPerRow: Int, base: UnsafeMutableRawPointer,
    release: @escaping () -> Void
  ) {
    self.width = width
    self.height = height
    self.format = format
    self.bytesPerRow = bytesPerRow
    self.base = base
    self.release = release
  }

  deinit { release() }

  var isLocked: Bool { lockCount.load(ordering: .acquiring) > 0 }

  func lock() { lockCount.add(1, ordering: .acquiring) }

  /// false: it was not locked.
  func unlock() -> Bool {
    var count = lockCount.load(ordering: .relaxed)
    while count > 0 {
      let (exchanged, original) = lockCount.weakCompareExchange(
        expected: count, desired: count - 1, ordering: .releasing)
      if exchanged { return true }
      count = original
    }
    return false
  }
}

extension CVBuffer: Hashable {
  /// Whether both are the same buffer.
  public static func == (left: CVBuffer, right: CVBuffer) -> Bool { left === right }
  /// Feeds the buffer's identity to the hasher.
  public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// Called when memory that a caller lent is no longer needed: its reference constant, and the memory.
public typealias CVPixelBufferReleaseBytesCallback =
  @convention(c) (
    UnsafeMutableRawPointer?, UnsafeRawPointer?
  ) -> Void

/// Rows begin at multiples of this, as on Apple's systems.
private let rowAlignment = 64

/// Makes a picture; its pixels are zero.
@discardableResult
public func CVPixelBufferCreate(
  _ allocator: CFAllocator?, _ width: Int, _ height: Int, _ pixelFormatType: OSType,
  _ pixelBufferAttributes: CFDictionary?, _ pixelBufferOut: UnsafeMutablePointer<CVPixelBuffer?>
) -> CVReturn {
  guard width > 0, height > 0 else { return kCVReturnInvalidArgument }
  guard let size = bytesPerPixel(pixelFormatType) else { return kCVReturnInvalidPixelFormat }
  let asked = pixelBufferAttributes?[kCVPixelBufferBytesPerRowAlignmentKey] as? Int ?? rowAlignment
  guard asked > 0, asked & (asked - 1) == 0 else { return kCVReturnInvalidArgument }
  guard width <= (Int.max - asked) / size else { return kCVReturnInvalidSize }
  let bytesPerRow = (width * size + asked - 1) & ~(asked - 1)
  let (bytes, overflow) = bytesPerRow.multipliedReportingOverflow(by: height)
  guard !overflow else { return kCVReturnInvalidSize }
  guard let base = calloc(bytes, 1) else { return kCVReturnAllocationFailed }
  pixelBufferOut.pointee = CVBuffer(
    width: width, height: height, format: pixelFormatType, bytesPerRow: bytesPerRow, base: base,
    release: { free(base) })
  return kCVReturnSuccess
}

/// Makes a picture over memory that the caller owns; `releaseCallback` runs when the picture is gone.
@discardableResult
public func CVPixelBufferCreateWithBytes(
  _ allocator: CFAllocator?, _ width: Int, _ height: Int, _ pixelFormatType: OSType,
  _ baseAddress: UnsafeMutableRawPointer, _ bytesPerRow: Int, _ releaseCallback: CVPixelBufferReleaseBytesCallback?,
  _ releaseRefCon: UnsafeMutableRawPointer?, _ pixelBufferAttributes: CFDictionary?,
  _ pixelBufferOut: UnsafeMutablePointer<CVPixelBuffer?>
) -> CVReturn {
  guard width > 0, height > 0 else { return kCVReturnInvalidArgument }
  guard let size = bytesPerPixel(pixelFormatType) else { return kCVReturnInvalidPixelFormat }
  guard bytesPerRow / size >= width else { return kCVReturnInvalidArgument }
  guard !bytesPerRow.multipliedReportingOverflow(by: height).overflow else { return kCVReturnInvalidSize }
  pixelBufferOut.pointee = CVBuffer(
    width: width, height: height, format: pixelFormatType, bytesPerRow: bytesPerRow, base: baseAddress,
    release: { releaseCallback?(releaseRefCon, UnsafeRawPointer(baseAddress)) })
  return kCVReturnSuccess
}

/// Makes the memory readable (and writable, without `readOnly`) until it is unlocked as often.
@discardableResult
public func CVPixelBufferLockBaseAddress(
  _ pixelBuffer: CVPixelBuffer, _ lockFlags: CVPixelBufferLockFlags
) -> CVReturn {
  pixelBuffer.lock()
  return kCVReturnSuccess
}

/// Gives back one lock; `kCVReturnError` where there is none.
@discardableResult
public func CVPixelBufferUnlockBaseAddress(
  _ pixelBuffer: CVPixelBuffer, _ unlockFlags: CVPixelBufferLockFlags
) -> CVReturn {
  pixelBuffer.unlock() ? kCVReturnSuccess : kCVReturnError
}

/// The first row's first byte; nil unless the picture is locked.
public func CVPixelBufferGetBaseAddress(_ pixelBuffer: CVPixelBuffer) -> UnsafeMutableRawPointer? {
  pixelBuffer.isLocked ? pixelBuffer.base : nil
}

/// Pixels a row.
public func CVPixelBufferGetWidth(_ pixelBuffer: CVPixelBuffer) -> Int { pixelBuffer.width }

/// Rows.
public func CVPixelBufferGetHeight(_ pixelBuffer: CVPixelBuffer) -> Int { pixelBuffer.height }

/// What a pixel is.
public func CVPixelBufferGetPixelFormatType(_ pixelBuffer: CVPixelBuffer) -> OSType { pixelBuffer.format }

/// Bytes from one row to the next, padding included.
public func CVPixelBufferGetBytesPerRow(_ pixelBuffer: CVPixelBuffer) -> Int { pixelBuffer.bytesPerRow }

/// Bytes of all rows, padding included.
public func CVPixelBufferGetDataSize(_ pixelBuffer: CVPixelBuffer) -> Int {
  pixelBuffer.bytesPerRow * pixelBuffer.height
}

/// Whether the colours lie in planes of their own: never here.
public func CVPixelBufferIsPlanar(_ pixelBuffer: CVPixelBuffer) -> Bool { false }

/// Planes of a planar picture: none here.
public func CVPixelBufferGetPlaneCount(_ pixelBuffer: CVPixelBuffer) -> Int { 0 }
