#if canImport(SwiftUI)
  import PictureModel
  import SwiftUI
  import Tintype

  /// A window with a prompt and the picture that takes shape under it.
  @main
  struct PictureApp: App {
    @StateObject private var opened = OpenedBundle()

    var body: some Scene {
      WindowGroup {
        if let model = opened.model {
          PictureView(model: model)
        } else {
          Text(opened.problem ?? "").padding()
        }
      }
    }
  }

  /// The bundle that the app carries as the folder "model.bundle" among its resources.
  @MainActor
  final class OpenedBundle: ObservableObject {
    let model: PictureModel?
    let problem: String?

    init() {
      guard let folder = Bundle.main.url(forResource: "model", withExtension: "bundle") else {
        (model, problem) = (nil, "Add a bundle made by `tintype convert` to the app, named model.bundle.")
        return
      }
      do {
        (model, problem) = (PictureModel(pipeline: try TextToImagePipeline(bundleAt: folder)), nil)
      } catch {
        (model, problem) = (nil, "\(error)")
      }
    }
  }

  struct PictureView: View {
    @ObservedObject var model: PictureModel

    var body: some View {
      VStack(spacing: 12) {
        picture.frame(minWidth: 256, minHeight: 256)
        TextField("What the picture shows", text: $model.prompt).onSubmit { model.draw() }
        if model.isDrawing {
          Button("Stop") { model.cancel() }
        } else {
          Button("Draw") { model.draw() }
        }
        status.font(.footnote)
      }
      .padding()
    }

    @ViewBuilder private var picture: some View {
      if let image = model.picture?.cgImage {
        Image(decorative: image, scale: 1).resizable().interpolation(.medium).scaledToFit()
      } else {
        Color.gray.opacity(0.2)
      }
    }

    @ViewBuilder private var status: some View {
      switch model.phase {
      case .idle: Text(" ")
      case .preparing(let part): Text("Preparing \(part) for this device; once, this may take minutes")
      case .drawing(let step, let count): ProgressView(value: Double(step), total: Double(max(1, count)))
      case .done: Text(model.seed.map { "seed \($0)" } ?? "")
      case .failed(let problem): Text(problem)
      }
    }
  }
#else
  import Foundation

  /// SwiftUI exists on Apple's systems only; the view model is built and tested everywhere.
  @main
  struct PictureApp {
    static func main() { FileHandle.standardError.write(Data("PictureApp needs SwiftUI, which is not here\n".utf8)) }
  }
#endif
