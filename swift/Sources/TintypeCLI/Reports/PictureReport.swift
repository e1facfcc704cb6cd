import Foundation
import Tintype

/// A picture's settings as `inspect` prints them.
struct PictureReport: Encodable {
  private let path: String
  private let settings: GenerationSettings

  private enum CodingKeys: String, CodingKey {
    case kind, path
  }

  init(_ file: URL) throws {
    path = file.givenPath
    do {
      settings = try GenerationSettings(png: Data(contentsOf: file))
    } catch let error as CocoaError {
      throw Unreadable(path: path, reason: "it cannot be read (\(CoreMLPlatform.reason(of: error)))")
    } catch {
      throw Unreadable(path: path, reason: "\(error)")
    }
  }

  struct Unreadable: Error, CustomStringConvertible {
    let path: String
    let reason: String
    var description: String { "\(path): \(reason)" }
  }

  /// The settings' own keys, and what this is.
  func encode(to encoder: any Encoder) throws {
    try settings.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode("picture", forKey: .kind)
    try values.encode(path, forKey: .path)
  }

  /// A line a setting; what was not used is left out.
  var text: String {
    let backends = PipelineStage.allCases.compactMap { stage in
      settings.backends[stage].map { "\(stage.rawValue) \($0.joinedName)" }
    }
    let rows: [(String, String?)] = [
      ("prompt", settings.prompt), ("negative prompt", settings.negativePrompt), ("steps", "\(settings.steps)"),
      ("guidance scale", shortNumber(settings.guidanceScale)), ("seed", settings.seed.map { "\($0)" } ?? "-"),
      ("generator", settings.generator?.rawValue), ("size", "\(settings.width)x\(settings.height)"),
      ("use t5", settings.useT5 ? "yes" : "no"), ("model", settings.model), ("precision", settings.precision),
      ("strength", settings.strength.map(shortNumber)),
      ("image index", settings.imageIndex > 0 ? "\(settings.imageIndex)" : nil),
      ("backends", backends.joined(separator: ", ")),
    ]
    let cells = rows.compactMap { name, value in value.map { [name, $0.isEmpty ? "-" : $0] } }
    return tableLines(cells, right: 0..<0).joined(separator: "\n")
  }
}
