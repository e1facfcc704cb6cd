import Foundation
import Tintype

/// What is told of a picture at the end, without its pixels and latents: those of many would fill the memory.
struct DrawnPicture {
  /// As the command line names it.
  private let path: String
  private let settings: GenerationSettings
  private let stages: [PipelineStage: StageRun]
  private let timings: GenerationTimings
  private let statistics: [PipelineStage: StageStatistics]

  init(_ result: GenerationResult, path: String) {
    self.path = path
    (settings, stages, timings) = (result.settings, result.stages, result.timings)
    statistics = result.statistics
  }

  /// One picture as an object, several and those of a file of prompts as a list.
  static func json(_ pictures: [DrawnPicture], isList: Bool) throws -> String {
    try !isList && pictures.count == 1 ? jsonText(Report(pictures[0])) : jsonText(pictures.map(Report.init))
  }

  /// What ran the first one, then every picture.
  static func lines(_ pictures: [DrawnPicture]) -> [String] {
    guard let first = pictures.first else { return [] }
    return first.stageLines + pictures.flatMap(\.lines)
  }

  private var stageLines: [String] {
    let runs = PipelineStage.allCases.compactMap { stage in stages[stage].map { (stage: stage.rawValue, run: $0) } }
    func line(_ stages: String, _ run: StageRun) -> String {
      "\(stages) on \(run.backends.joinedName) (\(run.reason))"
    }
    if let first = runs.first, runs.allSatisfy({ $0.run == first.run }) {
      return [line(runs.map(\.stage).joined(separator: ", "), first.run)]
    }
    return runs.map { line($0.stage, $0.run) }
  }

  private var lines: [String] {
    let seed = settings.seed.map { "seed \($0)" } ?? "the given noise"
    let line =
      "\(path): \(settings.width)x\(settings.height), \(settings.steps) step\(settings.steps == 1 ? "" : "s"), "
      + "guidance \(shortNumber(settings.guidanceScale)), \(seed)"
    let times = timings.parts.map { "\($0.name.replacingOccurrences(of: "_", with: " ")) \(decimals($0.seconds, 2))" }
    let costs = PipelineStage.allCases.compactMap { stage in statistics[stage].map { (stage, $0) } }
    return [line, "seconds: \(times.joined(separator: ", "))"] + TintypeCLI.stageLines(costs)
  }

  /// What `--json` prints: the keys of Python's command. Warnings are on standard error.
  private struct Report: Encodable {
    let output: String
    let settings: GenerationSettings
    let stages: [String: StageRun]
    let timings: [String: Double]
    /// By stage; none: not asked for.
    let statistics: [String: StageStatistics]?

    init(_ picture: DrawnPicture) {
      output = picture.path
      settings = picture.settings
      stages = Dictionary(uniqueKeysWithValues: picture.stages.map { ($0.rawValue, $1) })
      timings = Dictionary(uniqueKeysWithValues: picture.timings.parts.map { ($0.name, $0.seconds) })
      let statistics = picture.statistics.map { ($0.rawValue, $1) }
      self.statistics = statistics.isEmpty ? nil : Dictionary(uniqueKeysWithValues: statistics)
    }
  }
}

extension GenerationTimings {
  /// By the names of Python's.
  fileprivate var parts: [(name: String, seconds: Double)] {
    [
      ("load", load), ("text_encoder", textEncoder), ("modulation", modulation), ("denoiser", denoiser), ("vae", vae),
      ("total", total),
    ].map { ($0, $1.seconds) }
  }
}
