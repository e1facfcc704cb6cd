import Foundation

/// Why a file is no picture that can be read.
public enum PNGError: Error, Equatable, Sendable {
  /// The file does not begin as PNG files do.
  case notPNG
  /// A chunk is cut, its checksum is wrong, or the pixels do not fill the picture.
  case damaged(reason: String)
  /// More pixels than are read; both sides in pixels.
  case tooLarge(width: Int, height: Int)
}

extension PNGError: ExplainedError {
  package var explanation: (problem: String, remedy: String?) {
    switch self {
    case .notPNG: ("it is not a PNG file", "save the picture as PNG")
    case .damaged(let reason): ("the PNG file is damaged (\(reason))", "save the picture again")
    case .tooLarge(let width, let height):
      ("the picture is \(width)x\(height), more than \(PNG.mostPixels) pixels", "scale it down")
    }
  }
}

extension PNG {
  static let mostPixels = 1 << 26

  /// Reads a PNG file of any colour type and bit depth, interlaced or not, as RGB: 16 bits are cut to 8, transparency
  /// is dropped, as Pillow's `convert("RGB")` does. Throws `PNGError`.
  public static func decode(_ data: Data) throws -> RGBImage {
    let file = try PNGFile([UInt8](data))
    var pixels = [UInt8](repeating: 0, count: 3 * file.width * file.height)
    var rows = file.rows[...]
    for pass in file.passes where pass.columns > 0 && pass.rows > 0 {
      let stride = (pass.columns * file.bitsPerPixel + 7) / 8
      var above = [UInt8](repeating: 0, count: stride)
      for row in 0..<pass.rows {
        guard rows.count > stride, let filter = rows.popFirst() else {
          throw PNGError.damaged(reason: "rows are missing")
        }
        let line = try unfiltered(
          Array(rows.prefix(stride)), filter, above: above, distance: max(1, file.bitsPerPixel / 8))
        rows = rows.dropFirst(stride)
        for column in 0..<pass.columns {
          let place = (pass.top + row * pass.down) * file.width + pass.left + column * pass.right
          let colour = try file.colour(line, column)
          for channel in 0..<3 { pixels[3 * place + channel] = colour[channel] }
        }
        above = line
      }
    }
    guard let image = RGBImage(width: file.width, height: file.height, bytes: pixels) else {
      throw PNGError.damaged(reason: "the size is wrong")
    }
    return image
  }

  private static func unfiltered(
    _ line: [UInt8], _ filter: UInt8, above: [UInt8], distance: Int
  ) throws -> [UInt8] {
    var line = line
    for index in line.indices {
      let left = index < distance ? 0 : Int(line[index - distance])
      let (up, corner) = (Int(above[index]), index < distance ? 0 : Int(above[index - distance]))
      let guess: Int
      switch filter {
      case 0: return line
      case 1: guess = left
      case 2: guess = up
      case 3: guess = (left + up) / 2
      case 4:
        let sum = left + up - corner
        let (a, b, c) = (abs(sum - left), abs(sum - up), abs(sum - corner))
        guess = a <= b && a <= c ? left : b <= c ? up : corner
      default: throw PNGError.damaged(reason: "there is no filter \(filter)")
      }
      line[index] &+= UInt8(truncatingIfNeeded: guess)
    }
    return line
  }
}

/// A PNG file's chunks, read and checked: its header, its palette and its filtered rows.
struct PNGFile {
  let width: Int
  let height: Int
  let bitsPerPixel: Int
  let rows: [UInt8]
  private let colourType: UInt8
  private let depth: Int
  private let palette: [UInt8]
  private let isInterlaced: Bool

  /// Every `right`-th pixel from `left`, every `down`-th row from `top`.
  struct Pass {
    let left: Int
    let top: Int
    let right: Int
    let down: Int
    var columns = 0
    var rows = 0
  }

  /// One for the whole picture, or the seven of Adam7.
  var passes: [Pass] {
    let adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    return (isInterlaced ? adam7 : [(0, 0, 1, 1)]).map { left, top, right, down in
      Pass(
        left: left, top: top, right: right, down: down, columns: max(0, (width - left + right - 1) / right),
        rows: max(0, (height - top + down - 1) / down))
    }
  }

  init(_ bytes: [UInt8]) throws {
    guard bytes.starts(with: PNG.signature) else { throw PNGError.notPNG }
    var (at, header, palette, packed, hasEnded) = (8, [UInt8](), [UInt8](), [UInt8](), false)
    while !hasEnded {
      guard at + 12 <= bytes.count else { throw PNGError.damaged(reason: "it is cut") }
      let length = Self.integer(bytes[at..<at + 4])
      guard length <= bytes.count - at - 12 else { throw PNGError.damaged(reason: "it is cut") }
      let (body, end) = (bytes[at + 8..<at + 8 + length], at + 8 + length)
      guard Self.integer(bytes[end..<end + 4]) == Int(CRC32.of(bytes[at + 4..<end])) else {
        throw PNGError.damaged(reason: "a checksum is wrong")
      }
      switch String(decoding: bytes[at + 4..<at + 8], as: UTF8.self) {
      case "IHDR": header = Array(body)
      case "PLTE": palette = Array(body)
      case "IDAT": packed += body
      case "IEND": hasEnded = true
      default: break
      }
      at = end + 4
    }
    guard header.count == 13 else { throw PNGError.damaged(reason: "it has no header") }
    (width, height) = (Self.integer(header[0..<4]), Self.integer(header[4..<8]))
    (depth, colourType, self.palette) = (Int(header[8]), header[9], palette)
    let depths: [UInt8: [Int]] = [0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16]]
    let samples: [UInt8: Int] = [0: 1, 2: 3, 3: 1, 4: 2, 6: 4]
    guard depths[colourType]?.contains(depth) == true, let samples = samples[colourType], header[10] == 0,
      header[11] == 0, header[12] < 2, width > 0, height > 0
    else { throw PNGError.damaged(reason: "its header is wrong") }
    let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
    guard !overflow, pixels <= PNG.mostPixels else { throw PNGError.tooLarge(width: width, height: height) }
    bitsPerPixel = samples * depth
    isInterlaced = header[12] == 1
    // Every row has its filter's number in front; interlaced pictures have up to twice as many rows, of padded bytes.
    let limit = (width * bitsPerPixel / 8 + 2) * height * 2 + 64
    do {
      rows = try Inflate.zlib(packed, limit: limit)
    } catch {
      throw PNGError.damaged(reason: "its pixels cannot be unpacked")
    }
  }

  /// Red, green and blue of a pixel of a row.
  func colour(_ line: [UInt8], _ column: Int) throws -> [UInt8] {
    switch colourType {
    case 0, 4:
      let level = sample(line, column * (colourType == 4 ? 2 : 1))
      return [level, level, level]
    case 3:
      let entry = Int(raw(line, column))
      guard 3 * entry + 2 < palette.count else { throw PNGError.damaged(reason: "a colour is not in its palette") }
      return Array(palette[3 * entry..<3 * entry + 3])
    default:
      let first = column * (colourType == 6 ? 4 : 3)
      return (first..<first + 3).map { sample(line, $0) }
    }
  }

  /// A sample as 8 bits.
  private func sample(_ line: [UInt8], _ index: Int) -> UInt8 {
    depth == 16 ? line[2 * index] : UInt8(Int(raw(line, index)) * 255 / ((1 << depth) - 1))
  }

  /// A sample of at most 8 bits as it stands.
  private func raw(_ line: [UInt8], _ index: Int) -> UInt8 {
    let bit = index * depth
    return line[bit / 8] >> UInt8(8 - depth - bit % 8) & UInt8((1 << depth) - 1)
  }

  private static func integer(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reduce(0) { $0 << 8 | Int($1) } }
}
