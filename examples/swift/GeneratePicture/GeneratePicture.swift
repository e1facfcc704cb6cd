import Foundation
import Tintype

/// The smallest program around a pipeline:
///
///     swift run GeneratePicture BUNDLE "a red circle" circle.png
@main
struct GeneratePicture {
  static func main() async {
    let words = Array(CommandLine.arguments.dropFirst())
    guard words.count == 3 else {
      return fail("usage: GeneratePicture BUNDLE PROMPT FILE.png")
    }
    do {
      let pipeline = try TextToImagePipeline(bundleAt: URL(fileURLWithPath: words[0]))
      let result = try await pipeline.generate(GenerationRequest(words[1])) { event in
        if case .step(let step) = event { say("step \(step.number) of \(step.steps)") }
      }
      try result.write(to: URL(fileURLWithPath: words[2]))
      // The seed draws the same picture again.
      say("\(words[2]): seed \(result.settings.seed ?? 0), \(result.stages[.denoiser]?.reason ?? "")")
    } catch {
      fail("\(error)")
    }
  }

  private static func say(_ text: String) { FileHandle.standardError.write(Data("\(text)\n".utf8)) }

  private static func fail(_ text: String) {
    say(text)
    exit(1)
  }
}
