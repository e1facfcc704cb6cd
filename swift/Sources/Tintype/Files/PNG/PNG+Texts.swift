import Foundation

extension PNG {
  /// The texts in a PNG file by keyword (tEXt, and iTXt that is not compressed). Throws `PNGError`.
  public static func texts(in data: Data) throws -> [String: String] {
    try chunks(of: data).reduce(into: [:]) { texts, chunk in
      let text = chunk.type == "tEXt" ? latin(chunk.body) : chunk.type == "iTXt" ? international(chunk.body) : nil
      if let (keyword, text) = text { texts[keyword] = text }
    }
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
  public struct NoSettings: ExplainedError {
    /// The error has no values.
    public init() {}

    package var explanation: (problem: String, remedy: String?) {
      ("it holds no settings of Tintype's", "name a picture that tintype has written")
    }
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
