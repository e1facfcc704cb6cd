/// What one run collects beside its picture: times, which backend ran what, warnings. What cannot wait for the result
/// is told at once.
final class RunRecorder: Sendable {
  private struct State {
    var timings = GenerationTimings()
    var runs: [PipelineStage: [(backend: BackendKind, reason: String)]] = [:]
    var warnings: [String] = []
    var statistics: [PipelineStage: StageStatistics] = [:]
    var compiled: Set<PipelineComponent> = []
  }
  let collectsStatistics: Bool
  private let tell: @Sendable (GenerationEvent) -> Void
  private let state: Locked<State>

  convenience init(
    collectsStatistics: Bool = false, tell: @escaping @Sendable (GenerationEvent) -> Void = { _ in }
  ) {
    self.init(State(), collectsStatistics, tell)
  }

  private init(
    _ state: State, _ collectsStatistics: Bool, _ tell: @escaping @Sendable (GenerationEvent) -> Void
  ) {
    self.state = Locked(state)
    self.collectsStatistics = collectsStatistics
    self.tell = tell
  }

  /// For the next picture of the run: what is known of backends and warnings, and no times.
  func next() -> RunRecorder {
    var copy = state.withLock { $0 }
    copy.timings = GenerationTimings()
    copy.statistics = [:]
    return RunRecorder(copy, collectsStatistics, tell)
  }

  /// Adds the time of `work`, less what it spent loading models.
  func time<Value: Sendable>(
    _ part: WritableKeyPath<GenerationTimings, Duration> & Sendable, _ work: @Sendable () async throws -> Value
  ) async rethrows -> (value: Value, duration: Duration) {
    let clock = ContinuousClock()
    let start = clock.now
    let loaded = state.withLock { $0.timings.load }
    let value = try await work()
    let elapsed = clock.now - start
    let duration = state.withLock { state in
      let duration = max(.zero, elapsed - (state.timings.load - loaded))
      state.timings[keyPath: part] += duration
      return duration
    }
    return (value, duration)
  }

  func addLoad(_ duration: Duration) {
    state.withLock { $0.timings.load += duration }
  }

  func ran(_ component: PipelineComponent, on backend: BackendKind, reason: String) {
    state.withLock { state in
      let known = state.runs[component.stage]?.contains { $0.backend == backend && $0.reason == reason } ?? false
      if !known { state.runs[component.stage, default: []].append((backend, reason)) }
    }
  }

  /// Each text once.
  func warn(_ text: String) {
    let isNew = state.withLock { state in
      if state.warnings.contains(text) { return false }
      state.warnings.append(text)
      return true
    }
    if isNew { tell(.warning(text)) }
  }

  /// Core ML compiles a component, or one of its chunks.
  func compiles(_ component: PipelineComponent) {
    if state.withLock({ $0.compiled.insert(component).inserted }) { tell(.compiling(component)) }
  }

  /// The components that Core ML compiled during the run.
  var compiled: Set<PipelineComponent> { state.withLock(\.compiled) }

  /// Adds what a prediction of a component cost: a row for each of its chunks.
  func add(_ rows: [PredictionStatistics], _ component: PipelineComponent, on backend: BackendKind) {
    state.withLock { $0.statistics[component.stage, default: StageStatistics()].add(rows, component, on: backend) }
  }

  var statistics: [PipelineStage: StageStatistics] { state.withLock(\.statistics) }
  var timings: GenerationTimings { state.withLock(\.timings) }
  var warnings: [String] { state.withLock(\.warnings) }

  /// Which backend ran each stage so far, and why.
  var stages: [PipelineStage: StageRun] {
    state.withLock(\.runs).mapValues { rows in
      StageRun(backends: unique(rows.map(\.backend)), reason: unique(rows.map(\.reason)).joined(separator: "; "))
    }
  }

  private func unique<Value: Equatable>(_ values: [Value]) -> [Value] {
    values.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }
}
