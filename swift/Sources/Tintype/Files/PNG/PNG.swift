import Foundation

/// Reads and writes PNG files (ISO/IEC 15948): 8-bit RGB, each row with the filter that leaves the smallest differences.
///
/// Signature ─► IHDR ─► iTXt… ─► IDAT (zlib) ─► IEND; a chunk is length, type, data, CRC-32 of type and data.
public enum PNG {
  /// - Parameter texts: keyword and text, in order; keywords are 1–79 characters of Latin-1.
  public static func encode(_ image: RGBImage, texts: [(keyword: String, text: String)] = []) -> Data {
    var file = signature
    let bitDepth: UInt8 = 8
    let trueColour: UInt8 = 2
    file += chunk("IHDR", bigEndian(image.width) + bigEndian(image.height) + [bitDepth, trueColour, 0, 0, 0])
    for (keyword, text) in texts {
      let name = keyword.unicodeScalars.compactMap { UInt8(exactly: $0.value) }.filter { $0 != 0 }.prefix(79)
      guard !name.isEmpty else { continue }
      // Keyword, uncompressed, no language, no translated keyword.
      file += chunk("iTXt", name + [0, 0, 0, 0, 0] + text.utf8.filter { $0 != 0 })
    }
    file += chunk("IDAT", Deflate.zlib(filtered(image)))
    file += chunk("IEND", [])
    return Data(file)
  }

  private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
    let body = Array(type.utf8) + data
    return bigEndian(data.count) + body + bigEndian(Int(CRC32.of(body)))
  }

  private static func bigEndian(_ value: Int) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
  }

  /// Every row with its filter's number in front.
  private static func filtered(_ image: RGBImage) -> [UInt8] {
    let stride = image.width * 3
    var result: [UInt8] = []
    result.reserveCapacity((stride + 1) * image.height)
    var above = [UInt8](repeating: 0, count: stride)
    for row in 0..<image.height {
      let line = Array(image.bytes[row * stride..<(row + 1) * stride])
      var best: (cost: Int, filter: Filter, bytes: [UInt8])?
      for filter in Filter.allCases {
        let bytes = filter.apply(line, above: above)
        let cost = bytes.reduce(0) { $0 + Int(Int8(bitPattern: $1).magnitude) }
        if cost < best?.cost ?? .max { best = (cost, filter, bytes) }
      }
      result.append(best?.filter.rawValue ?? Filter.none.rawValue)
      result += best?.bytes ?? line
      above = line
    }
    return result
  }

  private enum Filter: UInt8, CaseIterable {
    case none, sub, up, average, paeth

    /// The line less its prediction from the pixel to the left, above, and above to the left.
    func apply(_ line: [UInt8], above: [UInt8]) -> [UInt8] {
      let pixel = 3
      switch self {
      case .none: return line
      case .up: return line.indices.map { line[$0] &- above[$0] }
      case .sub: return line.indices.map { line[$0] &- ($0 < pixel ? 0 : line[$0 - pixel]) }
      case .average:
        return line.indices.map { line[$0] &- UInt8((Int($0 < pixel ? 0 : line[$0 - pixel]) + Int(above[$0])) / 2) }
      case .paeth:
        return line.indices.map { index in
          guard index >= pixel else { return line[index] &- above[index] }
          return line[index] &- paeth(left: line[index - pixel], up: above[index], corner: above[index - pixel])
        }
      }
    }

    private func paeth(left: UInt8, up: UInt8, corner: UInt8) -> UInt8 {
      let guess = Int(left) + Int(up) - Int(corner)
      let distances = (abs(guess - Int(left)), abs(guess - Int(up)), abs(guess - Int(corner)))
      if distances.0 <= distances.1, distances.0 <= distances.2 { return left }
      return distances.1 <= distances.2 ? up : corner
    }
  }
}
