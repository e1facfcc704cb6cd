/// What a model's backend has to say, passed on at once to the run that uses the model; kept for the next one where that
/// run has ended.
final class ModelNotices: Sendable {
  private struct State {
    weak var recorder: RunRecorder?
    /// Of a model in chunks, each may have its own.
    var reasons: [String] = []
    var pending: [String] = []
  }

  private let component: PipelineComponent
  private let state = Locked(State())

  init(_ component: PipelineComponent) { self.component = component }

  /// Why the backend that was asked first does not run the model; nil where it does.
  var reason: String? {
    let reasons = state.withLock(\.reasons)
    return reasons.isEmpty ? nil : reasons.joined(separator: "; ")
  }

  /// From here on, a run is told; also what nobody has been told.
  func report(to recorder: RunRecorder) {
    let pending = state.withLock { state in
      state.recorder = recorder
      defer { state.pending = [] }
      return state.pending
    }
    pending.forEach(recorder.warn)
  }

  func take(_ notice: BackendNotice) {
    let recorder = state.withLock { state in
      guard case .movedOn(let reason) = notice else { return state.recorder }
      if !state.reasons.contains(reason) { state.reasons.append(reason) }
      if state.recorder == nil { state.pending.append(reason) }
      return state.recorder
    }
    switch notice {
    case .compiling: recorder?.compiles(component)
    case .movedOn(let reason): recorder?.warn(reason)
    }
  }
}
