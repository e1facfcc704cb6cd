import CoreVideo
import TintypeMLX

#if canImport(Darwin)
  // Dictionaries become CFDictionary by it.
  import Foundation
#endif

// Pictures between their two forms: a tensor (uint8 [height, width, 3] in RGB order, or [height, width] in gray), and a
// pixel buffer, whose rows may be padded and whose bytes have an order of their own.

extension Tensor {
  /// A picture's pixels; transparency is dropped.
  package init(pixelsOf buffer: CVPixelBuffer, _ layout: ImageDescription.ColorLayout) throws {
    let format = CVPixelBufferGetPixelFormatType(buffer)
    try checkFormat(format, layout)
    let (width, height) = (CVPixelBufferGetWidth(buffer), CVPixelBufferGetHeight(buffer))
    let shape = layout.hasColor ? [height, width, 3] : [height, width]
    self = try withPixels(of: buffer, .readOnly) { source, bytesPerRow in
      try Tensor(shape: shape, elementType: layout.elementType) { target in
        guard let target = target.baseAddress else { return }
        guard let order = ByteOrder(format) else {
          let rowBytes = width * layout.elementType.size
          for row in 0..<height {
            (target + row * rowBytes).copyMemory(from: source + row * bytesPerRow, byteCount: rowBytes)
          }
          return
        }
        for row in 0..<height {
          let pixels = (source + row * bytesPerRow).assumingMemoryBound(to: UInt8.self)
          let colors = (target + row * width * 3).assumingMemoryBound(to: UInt8.self)
          for column in 0..<width {
            colors[3 * column] = pixels[4 * column + order.red]
            colors[3 * column + 1] = pixels[4 * column + order.green]
            colors[3 * column + 2] = pixels[4 * column + order.blue]
          }
        }
      }
    }
  }

  /// A new pixel buffer with the picture, in the format that models ask for.
  package func pixelBuffer(_ layout: ImageDescription.ColorLayout) throws -> CVPixelBuffer {
    var buffer: CVPixelBuffer?
    // Memory that other processors can share, where there are any.
    let attributes = [kCVPixelBufferIOSurfacePropertiesKey as String: [String: Any]()] as CFDictionary
    let code = CVPixelBufferCreate(
      kCFAllocatorDefault, shape.count > 1 ? shape[1] : 0, shape.first ?? 0, layout.pixelFormat, attributes, &buffer)
    guard code == kCVReturnSuccess, let buffer else {
      throw PixelBufferError.system(call: "CVPixelBufferCreate", code: code)
    }
    try copyPixels(to: buffer, layout)
    return buffer
  }

  /// Writes the picture to a pixel buffer of its size, opaque.
  package func copyPixels(to buffer: CVPixelBuffer, _ layout: ImageDescription.ColorLayout) throws {
    let format = CVPixelBufferGetPixelFormatType(buffer)
    try checkFormat(format, layout)
    let (width, height) = (CVPixelBufferGetWidth(buffer), CVPixelBufferGetHeight(buffer))
    guard shape == (layout.hasColor ? [height, width, 3] : [height, width]), elementType == layout.elementType else {
      throw PixelBufferError.size(actual: "\(width) × \(height)", expected: "\(shape)")
    }
    try withUnsafeBytes { bytes in
      guard let source = bytes.baseAddress else { return }
      try withPixels(of: buffer, []) { target, bytesPerRow in
        guard let order = ByteOrder(format) else {
          let rowBytes = width * elementType.size
          for row in 0..<height {
            (target + row * bytesPerRow).copyMemory(from: source + row * rowBytes, byteCount: rowBytes)
          }
          return
        }
        for row in 0..<height {
          let colors = (source + row * width * 3).assumingMemoryBound(to: UInt8.self)
          let pixels = (target + row * bytesPerRow).assumingMemoryBound(to: UInt8.self)
          for column in 0..<width {
            pixels[4 * column + order.red] = colors[3 * column]
            pixels[4 * column + order.green] = colors[3 * column + 1]
            pixels[4 * column + order.blue] = colors[3 * column + 2]
            pixels[4 * column + order.alpha] = 255
          }
        }
      }
    }
  }
}

private func checkFormat(_ format: OSType, _ layout: ImageDescription.ColorLayout) throws {
  guard layout.pixelFormats.contains(format) else {
    throw PixelBufferError.format(
      actual: pixelFormatName(format), expected: layout.pixelFormats.map { pixelFormatName($0) })
  }
}

/// Calls `body` with the first row and the bytes from row to row, while the buffer is locked.
private func withPixels<Result>(
  of buffer: CVPixelBuffer, _ flags: CVPixelBufferLockFlags,
  _ body: (UnsafeMutableRawPointer, Int) throws -> Result
) throws -> Result {
  let code = CVPixelBufferLockBaseAddress(buffer, flags)
  guard code == kCVReturnSuccess else {
    throw PixelBufferError.system(call: "CVPixelBufferLockBaseAddress", code: code)
  }
  defer { CVPixelBufferUnlockBaseAddress(buffer, flags) }
  guard let base = CVPixelBufferGetBaseAddress(buffer) else {
    throw PixelBufferError.system(call: "CVPixelBufferGetBaseAddress", code: kCVReturnError)
  }
  return try body(base, CVPixelBufferGetBytesPerRow(buffer))
}
