import Foundation

/// How a picture becomes one of the model's size.
public enum Resizing: String, Sendable, Codable, CaseIterable {
  /// Scaled until it fills the size, what is too wide or too high cut off evenly.
  case fill
  /// Scaled by different factors across and down.
  case stretch
}

extension RGBImage {
  /// The picture in another size: Lanczos with a support of 3 in fixed point, to the byte what Pillow's
  /// `resize(size, Resampling.LANCZOS)` gives. Throws `PictureError.tooLarge`.
  public func resized(to size: ImageSize, _ resizing: Resizing = .fill) throws -> RGBImage {
    let (pixels, overflow) = size.width.multipliedReportingOverflow(by: size.height)
    guard size.width > 0, size.height > 0, !overflow, pixels <= PNG.mostPixels else {
      throw PictureError.tooLarge(width: size.width, height: size.height)
    }
    let source = resizing == .fill ? cropped(to: size) : self
    if source.size == size { return source }
    let columns = Kernels(from: source.width, to: size.width)
    let rows = Kernels(from: source.height, to: size.height)
    let narrow = columns.apply(
      source.bytes, lines: source.height, step: 3, lineStep: 3 * source.width, resultLineStep: 3 * size.width)
    let result = rows.apply(narrow, lines: size.width, step: 3 * size.width, lineStep: 3, resultLineStep: 3)
    return RGBImage(width: size.width, height: size.height, bytes: result) ?? self
  }

  /// The middle of the picture, of the proportions of `size` as far as whole pixels allow.
  private func cropped(to size: ImageSize) -> RGBImage {
    func part(_ length: Int, _ numerator: Int, _ denominator: Int) -> Int {
      max(1, (2 * length * numerator + denominator) / (2 * denominator))
    }
    let columns = min(width, part(height, size.width, size.height))
    let rows = min(height, part(width, size.height, size.width))
    let (left, top) = ((width - columns) / 2, (height - rows) / 2)
    let lines = (top..<top + rows).map { bytes[3 * ($0 * width + left)..<3 * ($0 * width + left + columns)] }
    return RGBImage(width: columns, height: rows, bytes: Array(lines.joined())) ?? self
  }
}

/// One axis of a resampling: for each result the first source and the weights.
private struct Kernels {
  private let starts: [Int]
  private let weights: [[Int]]

  private static let support = 3.0
  private static let precision = 22

  init(from count: Int, to size: Int) {
    let scale = Double(count) / Double(size)
    let width = max(scale, 1)
    var (starts, weights) = ([Int](), [[Int]]())
    for index in 0..<size {
      let centre = (Double(index) + 0.5) * scale
      let start = max(0, Int(centre - Self.support * width + 0.5))
      let end = min(count, Int(centre + Self.support * width + 0.5))
      let values = (start..<end).map { Self.lanczos((Double($0) - centre + 0.5) / width) }
      let sum = values.reduce(0, +)
      starts.append(start)
      weights.append(values.map { Int(($0 / sum * Double(1 << Self.precision)).rounded(.toNearestOrAwayFromZero)) })
    }
    (self.starts, self.weights) = (starts, weights)
  }

  private static func lanczos(_ x: Double) -> Double {
    func sinc(_ x: Double) -> Double { x == 0 ? 1 : sin(x * .pi) / (x * .pi) }
    return abs(x) < support ? sinc(x) * sinc(x / support) : 0
  }

  /// Weighs along one axis of a picture; both axes are told by the distance of their pixels in bytes.
  func apply(_ bytes: [UInt8], lines: Int, step: Int, lineStep: Int, resultLineStep: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 3 * lines * starts.count) { result, count in
      bytes.withUnsafeBufferPointer { bytes in
        for (index, start) in starts.enumerated() {
          weights[index].withUnsafeBufferPointer { weights in
            for line in 0..<lines {
              let place = line * resultLineStep + index * step
              for channel in 0..<3 {
                var sum = 1 << (Self.precision - 1)
                var source = line * lineStep + start * step + channel
                for weight in weights {
                  sum += weight * Int(bytes[source])
                  source += step
                }
                result[place + channel] = UInt8(clamping: sum >> Self.precision)
              }
            }
          }
        }
      }
      count = 3 * lines * starts.count
    }
  }
}
