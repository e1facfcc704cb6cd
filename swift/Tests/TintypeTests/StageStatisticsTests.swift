import Foundation
import Testing

@testable import Tintype

@Suite struct StageStatisticsTests {
  private func row(_ peak: Int, _ weights: Int) throws -> PredictionStatistics {
    let json = """
      {"seconds": 0.5, "ops": {"linear": {"calls": 2, "seconds": 0.25, "bytes": 8}}, "peak_live_bytes": 1, \
      "peak_allocated_bytes": \(peak), "weight_bytes": \(weights)}
      """
    return try JSONDecoder().decode(PredictionStatistics.self, from: Data(json.utf8))
  }

  @Test func everyPackagesWeightsCountOnce() throws {
    var stage = StageStatistics()
    for _ in 0..<2 {
      stage.add([try row(10, 100), try row(30, 7)], .denoiser, on: .mlx)
      stage.add([try row(20, 1000)], .modulation, on: .mlx)
    }
    #expect(stage.predictions == 6 && stage.duration == .seconds(3))
    #expect(stage.operations == ["linear": .init(calls: 12, duration: .milliseconds(1500), bytes: 48)])
    #expect(stage.peakBytes == 30 && stage.weightBytes == 1107)
    #expect(stage.backends == [.mlx] && stage.untold.isEmpty)
  }

  @Test func whatABackendDoesNotTellIsNull() throws {
    var stage = StageStatistics()
    stage.add([PredictionStatistics(duration: .seconds(1))], .vaeDecoder, on: .coreml)
    stage.add([PredictionStatistics(duration: .seconds(1))], .vaeDecoder, on: .coreml)
    let json = try #require(JSONSerialization.jsonObject(with: JSONEncoder().encode(stage)) as? [String: Any])
    #expect(json["peak_bytes"] is NSNull && json["weight_bytes"] is NSNull)
    #expect(json["untold"] as? [String] == ["coreml"] && json["backends"] as? [String] == ["coreml"])
    #expect(json["predictions"] as? Int == 2 && json["seconds"] as? Double == 2)
  }

  @Test func durationsAreSecondsInJSON() throws {
    let timings = GenerationTimings(load: .milliseconds(250), textEncoder: .seconds(2), vae: .milliseconds(1500))
    let data = try JSONEncoder().encode(timings)
    let json = try #require(JSONSerialization.jsonObject(with: data) as? [String: Double])
    #expect(json == ["load": 0.25, "text_encoder": 2, "modulation": 0, "denoiser": 0, "vae": 1.5])
    #expect(try JSONDecoder().decode(GenerationTimings.self, from: data) == timings)
    let costs = try row(10, 100)
    #expect(try JSONDecoder().decode(PredictionStatistics.self, from: JSONEncoder().encode(costs)) == costs)
    // A number of seconds that no duration holds is an error, and no end of the program.
    for text in ["1e300", "-1e15"] {
      #expect(throws: DecodingError.self) {
        try JSONDecoder().decode(PredictionStatistics.self, from: Data("{\"seconds\": \(text)}".utf8))
      }
    }
  }
}
