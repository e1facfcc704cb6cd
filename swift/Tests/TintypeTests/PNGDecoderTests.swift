import Foundation
import TestSupport
import Testing

@testable import Tintype

@Suite struct PNGDecoderTests {
  /// Files of every colour type and depth and how Pillow reads them (tests/data/scripts/make_png.py).
  private enum Row: Decodable {
    case number(Int)
    case text(String)

    init(from decoder: any Decoder) throws {
      let value = try decoder.singleValueContainer()
      self = try (try? value.decode(Int.self)).map(Row.number) ?? .text(value.decode(String.self))
    }
  }

  private func file(_ name: String) throws -> Data { try Data(contentsOf: TestData.url("png/\(name).png")) }

  @Test func readsEveryKindAsPillowDoes() throws {
    let expected = try TestData.decode([String: [Row]].self, "png/expected.json")
    #expect(expected.count == 30)
    for (name, row) in expected {
      guard case .number(let width) = row[0], case .number(let height) = row[1], case .text(let hex) = row[2] else {
        Issue.record("\(name) has no size")
        continue
      }
      let image = try PNG.decode(file(name))
      #expect(image.width == width && image.height == height, "\(name)")
      #expect(image.bytes.map { String(format: "%02x", $0) }.joined() == hex, "\(name)")
    }
  }

  @Test func readsWhatItWrites() throws {
    let image = try PNG.decode(Data(contentsOf: TestData.url("sd3-medium-tiny/golden/image.png")))
    #expect(try PNG.decode(PNG.encode(image, texts: [("a", "b")])) == image)
    #expect(image == (try PNGReader(Data(contentsOf: TestData.url("sd3-medium-tiny/golden/image.png"))).image))
  }

  @Test func otherFilesAreRefused() throws {
    #expect(throws: PNGError.notPNG) { try PNG.decode(Data("GIF89a".utf8)) }
    #expect(throws: PNGError.notPNG) { try PNG.decode(Data()) }
    var large = Data([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13])
    let header: [UInt8] = Array("IHDR".utf8) + [0, 1, 0, 0, 0, 1, 0, 0, 8, 2, 0, 0, 0]
    let sum = CRC32.of(header)
    large += header + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: sum >> $0) }
    let end = Array("IEND".utf8)
    large += [0, 0, 0, 0] + end + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: CRC32.of(end) >> $0) }
    #expect(throws: PNGError.tooLarge(width: 65536, height: 65536)) { try PNG.decode(large) }
  }

  /// Every cut and every changed byte throws or reads; nothing traps. (Checksums catch nearly all; those of the chunks
  /// are mended, so that the decompressor and the rows see damage too.)
  @Test func damageIsFoundAndNeverTraps() throws {
    for name in ["colour2-depth8", "colour3-depth4-interlaced"] {
      let whole = try file(name)
      for length in 0..<whole.count { #expect(throws: PNGError.self) { try PNG.decode(whole.prefix(length)) } }
      var seen = 0
      for index in 8..<whole.count {
        for bit in [UInt8(1), 0x10, 0x80] {
          var bytes = [UInt8](whole)
          bytes[index] ^= bit
          #expect(throws: PNGError.self) { try PNG.decode(Data(bytes)) }
          if (try? PNG.decode(Data(Self.mended(bytes)))) != nil { seen += 1 }
        }
      }
      #expect(seen > 0)
    }
  }

  /// The file with right checksums where its chunks still are.
  private static func mended(_ bytes: [UInt8]) -> [UInt8] {
    var (bytes, at) = (bytes, 8)
    while at + 12 <= bytes.count {
      let length = bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
      guard length <= bytes.count - at - 12 else { break }
      let sum = CRC32.of(bytes[at + 4..<at + 8 + length])
      for place in 0..<4 { bytes[at + 8 + length + place] = UInt8(truncatingIfNeeded: sum >> UInt32(24 - 8 * place)) }
      at += 12 + length
    }
    return bytes
  }
}
