import Foundation
import TestSupport
import Testing

@testable import Tintype

@Suite struct PNGTests {
  private func image(_ width: Int, _ height: Int, _ value: (Int) -> UInt8) throws -> RGBImage {
    try #require(RGBImage(width: width, height: height, bytes: (0..<width * height * 3).map(value)))
  }

  @Test(arguments: [(1, 1), (3, 2), (16, 16), (67, 31)]) func comesBackAsItWas(_ width: Int, _ height: Int) throws {
    var random = NumPyRandom(seed: 1)
    let noise = random.normals(width * height * 3).map { UInt8(truncatingIfNeeded: Int($0 * 60)) }
    for picture in [
      try image(width, height) { _ in 0 }, try image(width, height) { UInt8(truncatingIfNeeded: $0 / 3) },
      try image(width, height) { noise[$0] },
    ] {
      let read = try PNGReader(PNG.encode(picture))
      #expect(read.image == picture)
    }
  }

  @Test func largeBlocksAndLongRunsComeBack() throws {
    let picture = try image(256, 200) { $0 < 90_000 ? UInt8(truncatingIfNeeded: $0 &* $0 / 7) : 200 }
    let data = PNG.encode(picture)
    #expect(try PNGReader(data).image == picture)
    #expect(data.count < picture.bytes.count)
  }

  @Test func textsAreKept() throws {
    let texts = [(keyword: "Software", text: "tintype"), (keyword: "prompt", text: "ein schönes 東京 🐱\nline")]
    let read = try PNGReader(PNG.encode(image(2, 2) { _ in 9 }, texts: texts))
    #expect(read.texts == ["Software": "tintype", "prompt": "ein schönes 東京 🐱\nline"])
  }

  @Test func pillowsFileIsReadByTheSameReader() throws {
    let read = try PNGReader(Data(contentsOf: TestData.url("sd3-medium-tiny/golden/image.png")))
    #expect(read.image.width == 128)
    #expect(try PNGReader(PNG.encode(read.image)).image == read.image)
  }

  @Test func deflateOfNothingIsNothing() throws {
    #expect(try Inflate.zlib(Deflate.zlib([])) == [])
  }

  @Test func roundsHalfToEvenAndClamps() throws {
    // x/2 + 0.5 = k/255 + half a level at exactly representable points: 0.5/255·255 is not, so use the clamped ends
    // and the middle, 127.5, which rounds to the even 128.
    let decoded = try Tensor(shape: [1, 3, 1, 2], floats: [-3, 0, 1, 1.5, -1, .nan])
    #expect(RGBImage(decoded: decoded)?.bytes == [0, 255, 0, 128, 255, 0])
    #expect(RGBImage(decoded: try Tensor(shape: [3, 1, 2], floats: Array(repeating: 0, count: 6))) == nil)
  }
}
