import Foundation
import TestSupport
import Testing

@testable import Tintype

#if canImport(ImageIO)
  import CoreGraphics
  import ImageIO
#endif

/// Files of several formats and how Pillow reads them (tests/data/scripts/make_pictures.py).
@Suite struct PictureFileTests {
  private struct Expected: Decodable {
    let image: RGBImage

    init(from decoder: any Decoder) throws {
      var row = try decoder.unkeyedContainer()
      let (width, height) = (try row.decode(Int.self), try row.decode(Int.self))
      let digits = Array(try row.decode(String.self).utf8)
      let bytes = stride(from: 0, to: digits.count, by: 2).compactMap {
        UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
      }
      image = try #require(RGBImage(width: width, height: height, bytes: bytes))
    }
  }

  private func expected() throws -> [String: Expected] {
    try TestData.decode([String: Expected].self, "pictures/expected.json")
  }

  private func file(_ name: String) throws -> Data { try Data(contentsOf: TestData.url("pictures/\(name)")) }

  private static let formats = [
    ("turned.jpg", "JPEG"), ("plain.tiff", "TIFF"), ("plain.bmp", "BMP"), ("plain.gif", "GIF"), ("plain.webp", "WebP"),
    ("plain.avif", "AVIF"), ("plain.jp2", "JPEG 2000"),
  ]

  @Test(arguments: 1...8) func picturesStandUpright(_ orientation: Int) throws {
    let name = "orientation-\(orientation).png"
    let picture = try RGBImage(contentsOf: TestData.url("pictures/\(name)"))
    #expect(picture == (try #require(expected()[name]).image))
  }

  #if canImport(ImageIO)
    @Test(arguments: formats) func otherFormatsAreReadAsPillowReadsThem(_ name: String, _ format: String) throws {
      let (picture, expected) = (try RGBImage(file: file(name)), try #require(expected()[name]).image)
      #expect(picture.width == expected.width && picture.height == expected.height)
      let isLossy = [".jpg", ".avif", ".jp2"].contains { name.hasSuffix($0) }
      let difference = zip(picture.bytes, expected.bytes).map { abs(Int($0) - Int($1)) }.max() ?? 0
      #expect(difference <= (isLossy ? 6 : 1), "\(format)")
    }

    /// Display P3's (0.6, 0.4, 0.4) is (162, 99, 101) in sRGB.
    @Test func coloursBecomeSRGB() throws {
      let plain = try #require(RGBImage(width: 1, height: 1, bytes: [153, 102, 102])?.cgImage)
      let space = try #require(CGColorSpace(name: CGColorSpace.displayP3))
      let wide = try #require(plain.copy(colorSpace: space))
      let data = NSMutableData()
      let target = try #require(
        CGImageDestinationCreateWithData(data as CFMutableData, "public.png" as CFString, 1, nil))
      CGImageDestinationAddImage(target, wide, nil)
      #expect(CGImageDestinationFinalize(target))
      let bytes = try RGBImage(file: data as Data).bytes
      #expect(zip(bytes, [162, 99, 101]).allSatisfy { abs(Int($0) - $1) <= 2 }, "\(bytes)")
    }

    @Test func picturesSurviveCoreGraphics() throws {
      let picture = try #require(expected()["orientation-1.png"]).image
      #expect(RGBImage(try #require(picture.cgImage)) == picture)
    }
  #else
    @Test(arguments: formats) func otherFormatsAreNamed(_ name: String, _ format: String) throws {
      let error = try #require(throws: PictureError.self) { try RGBImage(file: file(name)) }
      #expect(error == .unsupported(format: format))
      #expect(
        "\(error)"
          == "its format is \(format), which cannot be read here (PNG is everywhere; JPEG, HEIC and others are on "
          + "Apple's systems): save the picture as PNG, for instance with ImageMagick's `magick picture picture.png`")
    }
  #endif

  @Test(
    arguments: [
      ("....ftypheic....", "HEIC"), ("....ftypmif1....", "HEIC"), ("....ftypavif....", "AVIF"), ("MM\0*", "TIFF"),
      ("8BPS", "Photoshop"), ("%PDF-1.7", "PDF"), ("<svg xmlns=", "SVG"), ("....JXL ", "JPEG XL"),
    ])
  func formatsAreKnownByTheirFirstBytes(_ start: String, _ format: String) {
    #expect(PictureFormat(Array(start.utf8))?.rawValue == format)
  }

  @Test func picturesAreWrittenByTheirSuffix() throws {
    let (folder, picture) = (try TemporaryFolder(), try #require(expected()["orientation-1.png"]).image)
    let file = folder.url.appendingPathComponent("a.PNG")
    try picture.write(to: file, texts: [("keyword", "text")])
    #expect(try RGBImage(contentsOf: file) == picture)
    #expect(try PNG.texts(in: Data(contentsOf: file)) == ["keyword": "text"])
    for name in ["a.bmp", "a"] {
      #expect(throws: PictureError.unwritable(name: name)) {
        try picture.write(to: folder.url.appendingPathComponent(name))
      }
    }
    #if canImport(ImageIO)
      for (suffix, format) in [("jpg", "JPEG"), ("heic", "HEIC"), ("tiff", "TIFF")] {
        let file = folder.url.appendingPathComponent("a.\(suffix)")
        try picture.write(to: file)
        let data = try Data(contentsOf: file)
        #expect(PictureFormat(data)?.rawValue == format)
        #expect(try RGBImage(file: data).size == picture.size)
      }
    #else
      let error = try #require(throws: PictureError.self) {
        try picture.write(to: folder.url.appendingPathComponent("a.jpg"))
      }
      #expect(
        "\(error)"
          == "no picture can be written to a.jpg: its suffix names no format that this system writes (JPEG, HEIC and TIFF "
          + "are on Apple's systems): end the name with .png")
    #endif
  }

  @Test(arguments: [
    ([], "it is empty"), (Array("....ftypmp42".utf8), "it begins with the bytes 2e 2e 2e 2e 66 74 79 70"),
  ])
  func whatIsNoPictureIsSaid(_ bytes: [UInt8], _ message: String) throws {
    let error = try #require(throws: PictureError.self) { try RGBImage(file: Data(bytes)) }
    #expect("\(error)".contains(message), "\(error)")
  }

  @Test func damagedOrientationsAreIgnored() {
    #expect(EXIF.orientation(in: []) == nil)
    let little: [UInt8] = [0x49, 0x49, 0x2A, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0]
    #expect(EXIF.orientation(in: little) == 6)
    for length in 0..<20 { #expect(EXIF.orientation(in: Array(little.prefix(length))) == nil) }
    #expect(EXIF.orientation(in: little.dropLast(4) + [9, 0, 0, 0]) == nil)
    #expect(EXIF.orientation(in: Array("MM\0*".utf8) + [0xFF, 0xFF, 0xFF, 0xFF]) == nil)
  }
}
