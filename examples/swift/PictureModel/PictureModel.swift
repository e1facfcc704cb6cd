import Foundation
import Tintype

#if canImport(Combine)
  import Combine
#endif

/// What a view shows of a pipeline: a prompt in, a picture that takes shape, progress, errors.
///
/// draw() ─► preparing(part) at the first use ─► drawing(step, of) with previews ─► done │ failed(text); cancel() ─► idle
@MainActor
public final class PictureModel {
  public enum Phase: Equatable, Sendable {
    case idle
    /// Core ML compiles a part of the model, at its first use on this device.
    case preparing(String)
    case drawing(step: Int, of: Int)
    case done
    case failed(String)
  }

  /// Makes the events of a run: a pipeline's `events`, or a test's own.
  public typealias Events = @Sendable (GenerationRequest) throws -> AsyncThrowingStream<GenerationEvent, any Error>

  public var prompt = "" { willSet { changes() } }
  public var negativePrompt = "" { willSet { changes() } }
  public private(set) var phase = Phase.idle { willSet { changes() } }
  /// The last preview while drawing, then the picture.
  public private(set) var picture: RGBImage? { willSet { changes() } }
  /// The seed of the picture, to draw it again.
  public private(set) var seed: UInt32? { willSet { changes() } }

  /// What the model had to say of the last picture, such as that another backend runs it.
  public private(set) var warnings: [String] = [] { willSet { changes() } }

  private let events: Events
  private var task: Task<Void, Never>?

  public init(events: @escaping Events) { self.events = events }

  public convenience init(pipeline: TextToImagePipeline) {
    self.init { try pipeline.events($0) }
  }

  public var isDrawing: Bool {
    switch phase {
    case .preparing, .drawing: true
    case .idle, .done, .failed: false
    }
  }

  /// Begins a picture; one that is being drawn is given up.
  public func draw(seed: UInt32? = nil) {
    task?.cancel()
    let request = GenerationRequest(prompt, negativePrompt: negativePrompt, seed: seed, previewInterval: 2)
    (phase, warnings) = (.drawing(step: 0, of: 0), [])
    task = Task { await run(request) }
  }

  /// Ends a run before its next model call.
  public func cancel() {
    task?.cancel()
    task = nil
    if isDrawing { phase = .idle }
  }

  /// Waits for the picture that is being drawn.
  public func finish() async { await task?.value }

  private func run(_ request: GenerationRequest) async {
    do {
      for try await event in try events(request) {
        // What was given up says nothing any more: another picture may have begun.
        if Task.isCancelled { return }
        show(event)
      }
    } catch {
      if !Task.isCancelled { phase = .failed(error.localizedDescription) }
    }
  }

  private func show(_ event: GenerationEvent) {
    switch event {
    case .compiling(let component): phase = .preparing(component.rawValue)
    case .warning(let text): warnings.append(text)
    case .conditioned(let start): phase = .drawing(step: 0, of: start.schedule.timesteps.count)
    case .step(let step):
      phase = .drawing(step: step.number, of: step.steps)
      if let preview = step.preview { picture = preview }
    case .done(let result):
      picture = result.image
      seed = result.settings.seed
      phase = .done
    }
  }

  private func changes() {
    #if canImport(Combine)
      objectWillChange.send()
    #endif
  }
}

#if canImport(Combine)
  extension PictureModel: ObservableObject {}
#endif
