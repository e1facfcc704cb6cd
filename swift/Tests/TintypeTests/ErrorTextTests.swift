import Foundation
import Testing
import Tintype

/// What an app shows of an error: `localizedDescription` and `recoverySuggestion`.
@Suite struct ErrorTextTests {
  private static let errors: [(any LocalizedError, remedy: String?)] = [
    (EngineError.libraryIncompatible(path: "e", found: "1", expected: "2"), "build the engine and this program from"),
    (EngineError.failure(.runtime, "failed"), nil),
    (TensorError.invalidShape([-1]), nil),
    (BackendError.unavailable(backend: .mlx, reason: "no engine", remedy: "embed it"), "embed it"),
    (BackendError.missingInput(name: "x", known: []), nil),
    (TokenizerError.unreadable(file: "f", reason: "r"), "convert the model again"),
    (BundleError.noFolder(path: "p"), "convert a model with `tintype convert SOURCE -o p`"),
    (RequestError.previewInterval(0), "leave it out for no previews"),
    (
      PipelineError.notFinite(component: .denoiser, backend: .coreml, output: "y", count: 1),
      "try another backend, or convert the model again in float32"
    ),
    (PictureError.damaged(format: "JPEG"), "save the picture again"),
    (PNGError.notPNG, "save the picture as PNG"),
    (NPYError.notNPY, "save the array with numpy.save"),
    (OutputError.cannotWrite(path: "p", reason: "r"), "name a folder that exists"),
    (NPZ.TooLarge(), "write them one by one as .npy files"),
    (GenerationSettings.NoSettings(), "name a picture that tintype has written"),
  ]

  @Test(arguments: errors.indices) func problemAndRemedyAreEachSaidOnce(_ index: Int) {
    let (error, remedy) = Self.errors[index]
    #expect(error.recoverySuggestion?.hasPrefix(remedy ?? "") == remedy.map { _ in true })
    let problem = (error as any Error).localizedDescription
    guard let suggestion = error.recoverySuggestion else {
      #expect(problem == "\(error)")
      return
    }
    #expect("\(error)" == problem + (error is EngineError || error is BackendError ? "; " : ": ") + suggestion)
  }
}
