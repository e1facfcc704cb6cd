/// Why a file cannot be read or written as a picture. PNG files that cannot be read have `PNGError`.
public enum PictureError: Error, Equatable, Sendable {
  /// A picture, but of a format that this system cannot read; by the format's name, such as "JPEG".
  case unsupported(format: String)
  /// The file does not begin as any known picture does; its first bytes, at most 8.
  case unknown(start: [UInt8])
  /// The system refuses the file, or a part of it; by the format's name.
  case damaged(format: String)
  /// More pixels than are read; both sides in pixels.
  case tooLarge(width: Int, height: Int)
  /// A file's name whose suffix names no format that this system can write.
  case unwritable(name: String)
}

extension PictureError: ExplainedError {
  package var explanation: (problem: String, remedy: String?) {
    switch self {
    case .unsupported(let format):
      (
        "its format is \(format), which cannot be read here (PNG is everywhere; JPEG, HEIC and others are on Apple's "
          + "systems)", "save the picture as PNG, for instance with ImageMagick's `magick picture picture.png`"
      )
    case .unknown(let start) where start.isEmpty: ("it is empty", "name a PNG file")
    case .unknown(let start):
      (
        "it is no picture of a known kind (it begins with the bytes "
          + "\(start.map { String($0, radix: 16) }.joined(separator: " ")))", "save the picture as PNG"
      )
    case .damaged(let format): ("it is damaged as \(format)", "save the picture again")
    case .unwritable(let name):
      (
        "no picture can be written to \(name): its suffix names no format that this system writes (JPEG, HEIC and TIFF "
          + "are on Apple's systems)", "end the name with \(PictureFormat.writableSuffixes.joined(separator: " or "))"
      )
    case .tooLarge(let width, let height): PNGError.tooLarge(width: width, height: height).explanation
    }
  }
}
