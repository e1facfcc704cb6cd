import Tintype

/// Times of a bundle's stages, the backends in turn.
struct BundleBench {
  let bundle: ModelBundle
  let kinds: [BackendKind]
  let units: ComputeUnits
  let size: ImageSize?
  let steps: Int
  let pictures: Int

  struct Report: Encodable {
    let name: String
    let size: String
    let steps: Int
    let pictures: Int
    /// By backend and part: seconds.
    let seconds: [String: [String: Double]]
    /// By part: Core ML's time as a multiple of MLX's, where both ran.
    let ratios: [String: Double]
    /// Why a backend is not among them.
    let unavailable: [String: String]
    /// Whose Core ML it was.
    let coreML: String

    private enum CodingKeys: String, CodingKey {
      case name, size, steps, pictures, seconds, ratios, unavailable
      case coreML = "coreml_implementation"
    }

    static let parts = ["load", "text_encoder", "modulation", "step", "vae"]

    var text: String {
      let ran = BackendKind.allCases.filter { seconds[$0.rawValue] != nil }
      var rows = [["ms"] + ran.map(label) + (ratios.isEmpty ? [] : ["coreml / mlx"])]
      for part in Self.parts {
        let cells = ran.map { seconds[$0.rawValue]?[part].map { decimals(1000 * $0, 2) } ?? "-" }
        rows.append([part] + cells + (ratios[part].map { [decimals($0, 2)] } ?? []))
      }
      var lines = ["\(name), \(size), \(steps) steps, \(pictures) pictures a backend (medians)", ""]
      lines += tableLines(rows, right: 1..<4)
      lines += unavailable.sorted { $0.key < $1.key }.map { "\($0) not measured: \($1)" }
      return lines.joined(separator: "\n")
    }
  }

  private struct Contender {
    let kind: BackendKind
    let pipeline: TextToImagePipeline
    var seconds: [String: [Double]] = [:]
  }

  /// - Parameter onPicture: told before each picture: backend, pictures drawn, pictures in all.
  func run(_ onPicture: (BackendKind, Int, Int) -> Void) async throws -> Report {
    var (contenders, unavailable): ([Contender], [String: String]) = ([], [:])
    for kind in kinds {
      let choice: BackendChoice = kind == .coreml ? .coreml : .mlx
      do {
        try choice.makeBackend().checkAvailability()
      } catch let error where kinds.count > 1 {
        unavailable[kind.rawValue] = "\(error)"
        continue
      }
      let configuration = PipelineConfiguration(backend: .all(choice), units: .all(units))
      contenders.append(Contender(kind: kind, pipeline: try .init(bundle: bundle, configuration: configuration)))
    }
    guard !contenders.isEmpty else { throw NothingRuns(reasons: unavailable) }
    for index in contenders.indices {
      let warmed = try await contenders[index].pipeline.prewarm()
      contenders[index].seconds["load"] = [warmed.reduce(0) { $0 + $1.duration.seconds }]
    }
    let request = GenerationRequest("a lighthouse at dawn", steps: steps, seed: 0, size: size)
    for picture in 0...pictures {
      for index in contenders.indices {
        onPicture(contenders[index].kind, picture * contenders.count + index, (pictures + 1) * contenders.count)
        let seconds = try await draw(request, contenders[index].pipeline)
        // The first one fills the caches.
        if picture == 0 { continue }
        contenders[index].seconds.merge(seconds, uniquingKeysWith: +)
      }
    }
    return report(contenders, unavailable)
  }

  private func draw(
    _ request: GenerationRequest, _ pipeline: TextToImagePipeline
  ) async throws -> [String: [Double]] {
    let steps = Locked<[Double]>([])
    let result = try await pipeline.generate(request) { event in
      if case .step(let step) = event { steps.withLock { $0.append(step.duration.seconds) } }
    }
    let timings = result.timings
    return [
      "text_encoder": [timings.textEncoder.seconds], "modulation": [timings.modulation.seconds],
      "step": steps.withLock { $0 }, "vae": [timings.vae.seconds],
    ]
  }

  private func report(_ contenders: [Contender], _ unavailable: [String: String]) -> Report {
    var seconds: [String: [String: Double]] = [:]
    for contender in contenders { seconds[contender.kind.rawValue] = contender.seconds.mapValues(median) }
    var ratios: [String: Double] = [:]
    for part in Report.parts {
      if let coreML = seconds["coreml"]?[part], let mlx = seconds["mlx"]?[part], mlx > 0 { ratios[part] = coreML / mlx }
    }
    return Report(
      name: bundle.descriptor.name, size: (size ?? bundle.descriptor.size).description, steps: steps,
      pictures: pictures, seconds: seconds, ratios: ratios, unavailable: unavailable,
      coreML: CoreMLPlatform.implementation)
  }
}
