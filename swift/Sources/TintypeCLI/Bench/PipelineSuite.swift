import Foundation
import Tintype

/// Suite `pipeline`: a picture of the embedded model from prompt to pixels, against what its models' predictions take alone:
/// tokenizers, noise, guidance, Euler steps, checks and Swift's concurrency are the rest.
struct PipelineSuite {
  let bundle: ModelBundle
  let kinds: [BackendKind]
  let units: ComputeUnits
  let steps: Int
  let pictures: Int

  private static let prompt = "a red circle above a blue square on a white background"
  private static let bar = 0.9

  private struct Contender {
    let kind: BackendKind
    let pipeline: TextToImagePipeline
    let models: Locked<Double>
    var pairs: [(whole: Double, models: Double)] = []
  }

  /// - Parameter onPicture: told before each picture: backend, pictures drawn, pictures in all.
  func run(_ onPicture: (BackendKind, Int, Int) -> Void) async throws -> BenchReport {
    var (contenders, unavailable): ([Contender], [String: String]) = ([], [:])
    for kind in kinds {
      do {
        contenders.append(try contender(kind))
      } catch let error as BackendError where kinds.count > 1 && error.kind == .unavailable {
        unavailable[kind.rawValue] = "\(error)"
      }
    }
    guard !contenders.isEmpty else { throw NothingRuns(reasons: unavailable) }
    // The first picture loads the models and fills the caches.
    for picture in 0...pictures {
      for index in contenders.indices {
        onPicture(contenders[index].kind, picture * contenders.count + index, (pictures + 1) * contenders.count)
        let pair = try await draw(contenders[index], seed: UInt32(picture))
        if picture > 0 { contenders[index].pairs.append(pair) }
      }
    }
    let notes = unavailable.sorted { $0.key < $1.key }.map { "\($0) not measured: \($1)" }
    return BenchReport(rows: contenders.map(row) + comparison(contenders), notes: notes)
  }

  private func contender(_ kind: BackendKind) throws -> Contender {
    let choice: BackendChoice = kind == .coreml ? .coreml : .mlx
    try choice.makeBackend().checkAvailability()
    let models = Locked(0.0)
    let configuration = PipelineConfiguration(backend: .all(choice), units: .all(units)) { choice, settings in
      TimedBackend(backend: choice.makeBackend(settings: settings), seconds: models)
    }
    return Contender(kind: kind, pipeline: try .init(bundle: bundle, configuration: configuration), models: models)
  }

  private func draw(_ contender: Contender, seed: UInt32) async throws -> (whole: Double, models: Double) {
    contender.models.withLock { $0 = 0 }
    let start = ContinuousClock.now
    _ = try await contender.pipeline.generate(GenerationRequest(Self.prompt, steps: steps, seed: seed))
    return ((ContinuousClock.now - start).seconds, contender.models.withLock { $0 })
  }

  private func row(_ contender: Contender) -> BenchRow {
    BenchRow(
      name: "a picture, \(steps) steps, \(label(of: contender.kind))", peer: "its models alone",
      rate: 1000 * median(contender.pairs.map(\.whole)), limit: 1000 * median(contender.pairs.map(\.models)),
      ratio: median(contender.pairs.map { $0.models / $0.whole }), unit: "ms", bar: Self.bar)
  }

  /// Core ML against MLX, where both ran.
  private func comparison(_ contenders: [Contender]) -> [BenchRow] {
    guard let coreML = contenders.first(where: { $0.kind == .coreml }),
      let mlx = contenders.first(where: { $0.kind == .mlx })
    else { return [] }
    let pairs = zip(coreML.pairs, mlx.pairs).map { ($0.whole, $1.whole) }
    return [
      BenchRow(
        name: "a picture, \(steps) steps, \(label(of: .coreml))", peer: "mlx", rate: 1000 * median(pairs.map(\.0)),
        limit: 1000 * median(pairs.map(\.1)), ratio: median(pairs.map { $0.1 / $0.0 }), unit: "ms", bar: Self.bar)
    ]
  }
}
