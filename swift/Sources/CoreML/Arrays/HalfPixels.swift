import CoreVideo
import TintypeImages

/// A locked pixel buffer of 16-bit floats as memory of an array.
struct HalfPixels {
  let buffer: CVPixelBuffer
  let base: UnsafeMutableRawPointer
  /// Strides in elements; rows may be padded.
  let steps: [Int]

  /// The last extent must be the buffer's width, the product of the others its height.
  init(_ buffer: CVPixelBuffer, shape: [Int]) {
    let (width, height) = (CVPixelBufferGetWidth(buffer), CVPixelBufferGetHeight(buffer))
    let format = CVPixelBufferGetPixelFormatType(buffer)
    precondition(
      format == kCVPixelFormatType_OneComponent16Half,
      "an array needs a pixel buffer of OneComponent16Half, got \(pixelFormatName(format))")
    precondition(
      shape.last == width && shape.dropLast().reduce(1, *) == height,
      "shape \(shape) does not fit a pixel buffer of \(width) × \(height)")
    CVPixelBufferLockBaseAddress(buffer, [])
    guard let base = CVPixelBufferGetBaseAddress(buffer) else {
      preconditionFailure("the pixel buffer has no memory to lend")
    }
    var steps = [Int](repeating: 1, count: shape.count)
    var step = CVPixelBufferGetBytesPerRow(buffer) / MemoryLayout<Float16>.size
    for axis in shape.indices.dropLast().reversed() {
      steps[axis] = step
      step *= shape[axis]
    }
    self.buffer = buffer
    self.base = base
    self.steps = steps
  }

  /// To be called once, when nobody uses the memory any more.
  func unlock() { CVPixelBufferUnlockBaseAddress(buffer, []) }
}
