/// Picture files, told by their first bytes or by their names.
package enum PictureFormat: String, CaseIterable {
  case png = "PNG"
  case jpeg = "JPEG"
  case heic = "HEIC"
  case avif = "AVIF"
  case tiff = "TIFF"
  case webp = "WebP"
  case gif = "GIF"
  case bmp = "BMP"
  case jpegXL = "JPEG XL"
  case jpeg2000 = "JPEG 2000"
  case photoshop = "Photoshop"
  case pdf = "PDF"
  case svg = "SVG"

  /// Nil: nothing that is known.
  init?(_ bytes: some Collection<UInt8>) {
    let start = Array(bytes.prefix(32))
    func has(_ text: String, at place: Int = 0) -> Bool { start.dropFirst(place).starts(with: text.utf8) }
    if start.starts(with: PNG.signature) {
      self = .png
    } else if start.starts(with: [0xFF, 0xD8, 0xFF]) {
      self = .jpeg
    } else if has("ftyp", at: 4) {
      guard let brand = Self.brand(start) else { return nil }
      self = brand
    } else if has("II*\0") || has("MM\0*") {
      self = .tiff
    } else if has("RIFF"), has("WEBP", at: 8) {
      self = .webp
    } else if start.starts(with: [0xFF, 0x0A]) || has("JXL ", at: 4) {
      self = .jpegXL
    } else if has("jP  ", at: 4) {
      self = .jpeg2000
    } else if let known = Self.words.first(where: { has($0.word) }) {
      self = known.format
    } else {
      return nil
    }
  }

  /// By a file name's suffix, without its dot; nil for those that name no format that may be written.
  package init?(suffix: String) {
    let name = suffix.lowercased()
    guard let format = Self.suffixes.first(where: { $0.names.contains(name) })?.format else { return nil }
    self = format
  }

  private static let suffixes: [(format: Self, names: [String])] = [
    (.png, ["png"]), (.jpeg, ["jpg", "jpeg"]), (.heic, ["heic"]), (.tiff, ["tiff", "tif"]),
  ]

  /// Whether pictures can be written in the format on this system.
  package var isWritable: Bool {
    #if canImport(ImageIO)
      Self.suffixes.contains { $0.format == self }
    #else
      self == .png
    #endif
  }

  /// The suffixes of formats that can be written on this system, the usual one of each, with their dots.
  package static var writableSuffixes: [String] {
    suffixes.filter(\.format.isWritable).compactMap(\.names.first).map { ".\($0)" }
  }

  private static let words: [(word: String, format: Self)] = [
    ("GIF8", .gif), ("BM", .bmp), ("8BPS", .photoshop), ("%PDF", .pdf), ("<svg", .svg), ("<?xml", .svg),
  ]

  /// ISO's base media file format: what the file says that it is.
  private static func brand(_ start: [UInt8]) -> Self? {
    let name = String(decoding: start.dropFirst(8).prefix(4), as: UTF8.self)
    if name.hasPrefix("avi") { return .avif }
    return ["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"].contains(name) ? .heic : nil
  }
}
