import Foundation
import Tintype

/// A picture to begin with, as the command line or a line of prompts names it.
struct SourceNames: Sendable, Equatable {
  var image: String?
  var mask: String?
  var resizing: Resizing?
  var strength: Double?

  /// The pictures, read; nil where none is named. `place` stands before the names in errors: "--", or a line's place.
  func source(_ files: PictureFiles, place: String, command: String) throws -> ImageSource? {
    func fail(_ problem: String) -> ArgumentError { ArgumentError(problem: place + problem, command: command) }
    func picture(_ name: String, _ path: String) throws -> RGBImage {
      do {
        return try files.picture(path)
      } catch let error as CocoaError {
        throw fail("\(name) is '\(path)', which cannot be read (\(CoreMLPlatform.reason(of: error)))")
      } catch {
        throw fail("\(name) is '\(path)', but \(error)")
      }
    }
    guard let image else {
      let alone = [("mask", mask != nil), ("resize", resizing != nil), ("strength", strength != nil)].first { $0.1 }
      if let alone {
        throw fail(
          "\(alone.0) has no influence without \(place == "--" ? "--" : "")image: name the picture to begin with")
      }
      return nil
    }
    return ImageSource(
      try picture("image", image), mask: try mask.map { try picture("mask", $0) }, resizing: resizing,
      strength: strength ?? ImageSource.defaultStrength)
  }
}

/// Pictures by their paths, each read once: many prompts may begin with the same one.
final class PictureFiles {
  private var known: [String: RGBImage] = [:]

  func picture(_ path: String) throws -> RGBImage {
    if let picture = known[path] { return picture }
    let picture = try RGBImage(contentsOf: URL(fileURLWithPath: path))
    known[path] = picture
    return picture
  }
}
