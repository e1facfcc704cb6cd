import Foundation

extension RGBImage {
  /// Reads a picture file: PNG everywhere; on Apple's systems also JPEG, HEIC, TIFF and what else ImageIO reads, its
  /// colours converted to sRGB. EXIF's orientation is applied; of several frames, the main one is read.
  ///
  /// PNG files without a colour profile give the same bytes on all systems: 16 bits are cut to 8, transparency is
  /// dropped. Elsewhere what is transparent lies on white. Throws `PictureError` or `PNGError`.
  public init(file data: Data) throws {
    let format = PictureFormat(data)
    guard let format else { throw PictureError.unknown(start: Array(data.prefix(8))) }
    #if canImport(ImageIO)
      if try format != .png || PNG.hasProfile(data) {
        self = try Self.read(data, format)
        return
      }
    #else
      guard format == .png else { throw PictureError.unsupported(format: format.rawValue) }
    #endif
    self = try PNG.decode(data).upright(from: PNG.orientation(of: data))
  }

  /// Reads the picture file at `url`, as `init(file:)` does; what cannot be opened is the system's error.
  public init(contentsOf url: URL) throws {
    try self.init(file: Data(contentsOf: url))
  }

  /// Writes the picture in the format of the name's suffix: .png everywhere, on Apple's systems also .jpg, .heic and
  /// .tiff. The file appears complete or not at all. Throws `PictureError.unwritable` or `OutputError`.
  ///
  /// - Parameters:
  ///   - texts: keyword and text, in order; PNG files alone hold them.
  ///   - quality: of JPEG and HEIC, 0 to 1.
  public func write(
    to url: URL, texts: [(keyword: String, text: String)] = [], quality: Double = 0.9
  ) throws {
    let format = try PictureFormat(writing: url)
    #if canImport(ImageIO)
      if format != .png {
        guard let data = encoded(format, quality: quality) else {
          throw PictureError.unwritable(name: url.lastPathComponent)
        }
        return try AtomicFile.write(data, to: url)
      }
    #endif
    try AtomicFile.write(PNG.encode(self, texts: texts), to: url)
  }

  /// The picture as it is to be seen.
  /// - Parameter orientation: EXIF's: what lies at the top and at the left of the stored rows. 1 (top, left) and what EXIF
  ///   does not know changes nothing.
  func upright(from orientation: Int) -> RGBImage {
    guard (2...8).contains(orientation) else { return self }
    let isTurned = orientation > 4
    let (columns, rows) = isTurned ? (height, width) : (width, height)
    var turned: [UInt8] = []
    turned.reserveCapacity(bytes.count)
    for row in 0..<rows {
      for column in 0..<columns {
        let (x, y): (Int, Int) =
          switch orientation {
          case 2: (width - 1 - column, row)
          case 3: (width - 1 - column, height - 1 - row)
          case 4: (column, height - 1 - row)
          case 5: (row, column)
          case 6: (row, height - 1 - column)
          case 7: (width - 1 - row, height - 1 - column)
          default: (width - 1 - row, column)
          }
        let place = 3 * (y * width + x)
        turned += bytes[place..<place + 3]
      }
    }
    return RGBImage(width: columns, height: rows, bytes: turned) ?? self
  }
}

extension PictureFormat {
  /// The format that a file's name asks for. Throws `PictureError.unwritable` where it cannot be written.
  package init(writing url: URL) throws {
    guard let format = PictureFormat(suffix: url.pathExtension), format.isWritable else {
      throw PictureError.unwritable(name: url.lastPathComponent)
    }
    self = format
  }
}
