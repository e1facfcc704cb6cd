import Foundation
import Tintype

/// Reads 8-bit RGB files for the tests: chunks with their checksums, texts, filters.
struct PNGReader {
  let image: RGBImage
  let texts: [String: String]

  init(_ data: Data) throws {
    let bytes = [UInt8](data)
    guard bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) else { throw Inflate.Damaged() }
    var at = 8
    var header: [UInt8] = []
    var packed: [UInt8] = []
    var texts: [String: String] = [:]
    var ended = false
    while at + 12 <= bytes.count {
      let length = Self.integer(bytes[at..<at + 4])
      let type = String(decoding: bytes[at + 4..<at + 8], as: UTF8.self)
      let body = Array(bytes[at + 8..<at + 8 + length])
      guard Self.integer(bytes[at + 8 + length..<at + 12 + length]) == Self.crc(bytes[at + 4..<at + 8 + length]) else {
        throw Inflate.Damaged()
      }
      switch type {
      case "IHDR": header = body
      case "IDAT": packed += body
      case "iTXt":
        let keyword = String(decoding: body.prefix { $0 != 0 }, as: UTF8.self)
        texts[keyword] = String(decoding: body.dropFirst(keyword.utf8.count + 5), as: UTF8.self)
      case "IEND": ended = true
      default: break
      }
      at += 12 + length
    }
    guard ended, at == bytes.count, header.count == 13, header[8...] == [8, 2, 0, 0, 0] else { throw Inflate.Damaged() }
    let (width, height) = (Self.integer(header[0..<4]), Self.integer(header[4..<8]))
    let pixels = try Self.unfilter(Inflate.zlib(packed), width: width, height: height)
    guard let image = RGBImage(width: width, height: height, bytes: pixels) else { throw Inflate.Damaged() }
    self.image = image
    self.texts = texts
  }

  private static func integer(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reduce(0) { $0 << 8 | Int($1) } }

  private static func crc(_ bytes: ArraySlice<UInt8>) -> Int {
    var state: UInt32 = .max
    for byte in bytes {
      state ^= UInt32(byte)
      for _ in 0..<8 { state = state & 1 == 1 ? state >> 1 ^ 0xEDB8_8320 : state >> 1 }
    }
    return Int(~state)
  }

  private static func unfilter(_ rows: [UInt8], width: Int, height: Int) throws -> [UInt8] {
    let stride = 3 * width
    guard rows.count == (stride + 1) * height else { throw Inflate.Damaged() }
    var pixels: [UInt8] = []
    for row in 0..<height {
      let start = row * (stride + 1)
      for column in 0..<stride {
        let left = column < 3 ? 0 : Int(pixels[row * stride + column - 3])
        let up = row == 0 ? 0 : Int(pixels[(row - 1) * stride + column])
        let corner = row == 0 || column < 3 ? 0 : Int(pixels[(row - 1) * stride + column - 3])
        let guess: Int
        switch rows[start] {
        case 0: guess = 0
        case 1: guess = left
        case 2: guess = up
        case 3: guess = (left + up) / 2
        case 4:
          let sum = left + up - corner
          let (a, b, c) = (abs(sum - left), abs(sum - up), abs(sum - corner))
          guess = a <= b && a <= c ? left : b <= c ? up : corner
        default: throw Inflate.Damaged()
        }
        pixels.append(UInt8(truncatingIfNeeded: Int(rows[start + 1 + column]) + guess))
      }
    }
    return pixels
  }
}
