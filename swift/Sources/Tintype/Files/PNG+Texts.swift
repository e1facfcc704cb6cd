import Foundation

extension PNG {
  /// The texts in a PNG file by keyword (tEXt, and iTXt that is not compressed). Throws `PNGError`.
  public static func texts(in data: Data) throws -> [String: String] {
    let bytes = [UInt8](data)
    guard bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) else { throw PNGError.notPNG }
    var texts: [String: String] = [:]
    var at = 8
    while at + 12 <= bytes.count {
      let length = bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
      let type = String(decoding: bytes[at + 4..<at + 8], as: UTF8.self)
      guard length <= bytes.count - at - 12 else { throw PNGError.damaged(reason: "the chunk \(type) is cut") }
      let parts = bytes[at + 8..<at + 8 + length]
      if let (keyword, text) = type == "tEXt" ? latin(parts) : type == "iTXt" ? international(parts) : nil {
        texts[keyword] = text
      }
      at += 12 + length
    }
    return texts
  }

  /// keyword 0 text, both Latin-1.
  private static func latin(_ bytes: ArraySlice<UInt8>) -> (String, String)? {
    guard let end = bytes.firstIndex(of: 0) else { return nil }
    func text(_ bytes: ArraySlice<UInt8>) -> String {
      var text = ""
      text.unicodeScalars.append(contentsOf: bytes.map { Unicode.Scalar($0) })
      return text
    }
    return (text(bytes[..<end]), text(bytes[(end + 1)...]))
  }

  /// keyword 0 compressed? method language 0 translated-keyword 0 text, in UTF-8.
  private static func international(_ bytes: ArraySlice<UInt8>) -> (String, String)? {
    guard let end = bytes.firstIndex(of: 0), end + 2 < bytes.endIndex, bytes[end + 1] == 0,
      let language = bytes[(end + 3)...].firstIndex(of: 0), let translated = bytes[(language + 1)...].firstIndex(of: 0)
    else { return nil }
    return (
      String(decoding: bytes[..<end], as: UTF8.self), String(decoding: bytes[(translated + 1)...], as: UTF8.self)
    )
  }
}

extension GenerationSettings {
  /// The settings inside a PNG file that Tintype wrote, from Swift or Python. Throws `PNGError` or `NoSettings`.
  public init(png: Data) throws {
    guard let text = try PNG.texts(in: png)[Self.pngKeyword],
      let settings = try? JSONDecoder().decode(GenerationSettings.self, from: Data(text.utf8))
    else { throw NoSettings() }
    self = settings
  }

  /// A picture without settings of Tintype's.
  public struct NoSettings: Error, CustomStringConvertible {
    public let description = "it holds no settings of Tintype's: name a picture that tintype has written"
  }

  /// Why the settings alone do not make the picture again; empty where they do.
  public var cannotRepeat: [String] {
    [
      (strength != nil, "the picture began with another picture, which is not in the file"),
      (imageIndex > 0, "the picture was not the first of its run: this draws the first one"),
      (seed == nil, "the picture was drawn from given noise: this draws from a random seed"),
    ].filter(\.0).map(\.1)
  }
}

extension GenerationRequest {
  /// The request that makes a picture again.
  public init(repeating settings: GenerationSettings) {
    self.init(
      settings.prompt, negativePrompt: settings.negativePrompt, steps: settings.steps,
      guidanceScale: settings.guidanceScale, seed: settings.seed, generator: settings.generator ?? .numpy,
      size: ImageSize(width: settings.width, height: settings.height), useT5: settings.useT5)
  }
}
