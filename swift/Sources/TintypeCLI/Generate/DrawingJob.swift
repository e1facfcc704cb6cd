import Foundation
import Tintype

/// Pictures of one request, their files, and where they were asked for.
struct DrawingJob: Sendable {
  let request: GenerationRequest
  let count: Int
  /// The file of the picture; of several, each has its number in it.
  let output: URL
  /// "prompts.txt, line 3"; nil: the command line.
  let place: String?

  /// The files of all pictures.
  var outputs: [URL] { (0..<min(max(count, 0), RequestError.mostPictures)).map(output(of:)) }

  /// The file of picture `index`, from 0.
  func output(of index: Int) -> URL { numbered(output, index) }

  /// A file of one picture, as "out-1.npy" where there are several.
  func numbered(_ file: URL, _ index: Int) -> URL { count > 1 ? file.numbered("\(index + 1)") : file }

  /// What `work` gives; its errors name the place.
  func told<Value>(_ work: () throws -> Value) throws -> Value {
    do { return try work() } catch { throw placed(error) }
  }

  func placed(_ error: any Error) -> any Error {
    guard let place, !(error is CancellationError) else { return error }
    return PlacedError(place: place, error: error)
  }
}

/// An error of a line of prompts.
struct PlacedError: Error, CustomStringConvertible {
  let place: String
  let error: any Error
  var description: String { "\(place): \(CommandLineTool.text(error))" }
}

extension URL {
  /// The path as the command line names it, and as Python shows it.
  var givenPath: String {
    let path = relativePath
    return path.hasPrefix("./") && path.count > 2 ? String(path.dropFirst(2)) : path
  }

  /// "out.png" with the number 2 is "out-2.png".
  func numbered(_ number: String) -> URL {
    let name = "\(deletingPathExtension().lastPathComponent)-\(number).\(pathExtension)"
    return deletingLastPathComponent().appendingPathComponent(name)
  }
}
