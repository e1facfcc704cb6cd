import Foundation

extension PNG {
  static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  /// The chunks of a file as far as they go, without their checksums. Throws `PNGError`.
  static func chunks(of data: Data) throws -> [(type: String, body: ArraySlice<UInt8>)] {
    let bytes = [UInt8](data)
    guard bytes.starts(with: signature) else { throw PNGError.notPNG }
    var (chunks, at) = ([(type: String, body: ArraySlice<UInt8>)](), signature.count)
    while at + 12 <= bytes.count {
      let length = bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
      let type = String(decoding: bytes[at + 4..<at + 8], as: UTF8.self)
      guard length <= bytes.count - at - 12 else { throw PNGError.damaged(reason: "the chunk \(type) is cut") }
      chunks.append((type, bytes[at + 8..<at + 8 + length]))
      at += 12 + length
    }
    return chunks
  }

  /// Whether a file says what its colours mean, so that they need not be sRGB.
  static func hasProfile(_ data: Data) throws -> Bool {
    try chunks(of: data).contains { $0.type == "iCCP" || $0.type == "cICP" }
  }

  /// EXIF's orientation, 1 … 8; 1 where the file tells none.
  static func orientation(of data: Data) throws -> Int {
    try chunks(of: data).first { $0.type == "eXIf" }.flatMap { EXIF.orientation(in: Array($0.body)) } ?? 1
  }
}

/// EXIF's directory, a TIFF file: byte order, 42, offset ─► count, entries of tag, type, count, value.
enum EXIF {
  private static let orientationTag = 0x0112

  /// Nil where there is none, or the bytes are damaged.
  static func orientation(in bytes: [UInt8]) -> Int? {
    let isLittle = bytes.starts(with: Array("II*\0".utf8))
    guard isLittle || bytes.starts(with: Array("MM\0*".utf8)) else { return nil }
    func integer(_ place: Int, _ size: Int) -> Int? {
      guard place >= 0, place + size <= bytes.count else { return nil }
      let digits = bytes[place..<place + size]
      return (isLittle ? Array(digits.reversed()) : Array(digits)).reduce(0) { $0 << 8 | Int($1) }
    }
    guard let directory = integer(4, 4), let count = integer(directory, 2) else { return nil }
    for entry in 0..<count {
      let place = directory + 2 + 12 * entry
      guard let tag = integer(place, 2) else { return nil }
      if tag == orientationTag { return integer(place + 8, 2).flatMap { (1...8).contains($0) ? $0 : nil } }
    }
    return nil
  }
}
