import Foundation
import Tintype

/// Where a run's arrays go, float32 [1, C, h, w], as .npy or .safetensors files; nil: nowhere. The one tensor of a
/// .safetensors file is called `latents` or `noise`.
struct ArrayFiles {
  let latents: URL?
  let noise: URL?

  private static let suffixes = ["npy", "safetensors"]

  init(_ arguments: Arguments, _ spec: CommandSpec) throws {
    latents = try arguments.file("--latents-out", spec)
    noise = try arguments.file("--noise-out", spec)
  }

  var isEmpty: Bool { latents == nil && noise == nil }

  /// Throws `ArgumentError` where a file cannot be written, or is named twice, before minutes of work.
  func check(picture: URL, _ spec: CommandSpec) throws {
    var seen = [picture.standardizedFileURL.path: "--output"]
    for (option, file) in [("--latents-out", latents), ("--noise-out", noise)] {
      guard let file else { continue }
      func fail(_ problem: String) -> ArgumentError {
        ArgumentError(problem: "\(option) is \(file.givenPath), \(problem)", command: spec.fullName)
      }
      guard Self.suffixes.contains(file.pathExtension.lowercased()) else {
        throw fail("expected a name that ends with \(Self.suffixes.map { ".\($0)" }.joined(separator: " or "))")
      }
      let path = file.standardizedFileURL.path
      if let other = seen[path] { throw fail("the file of \(other), too: name another") }
      seen[path] = option
      try OutputFile.check(file, spec)
    }
  }

  /// Writes what is asked for of a picture.
  func write(_ result: GenerationResult, of job: DrawingJob) throws {
    for (name, file, tensor) in [("latents", latents, result.latents), ("noise", noise, result.initialLatents)] {
      guard let file else { continue }
      let isNPY = file.pathExtension.lowercased() == "npy"
      let data = isNPY ? NPY.encode(tensor) : try Safetensors.encode(name, tensor)
      try AtomicFile.write(data, to: job.numbered(file, result.settings.imageIndex))
    }
  }
}
