import TestSupport
import Testing

@testable import Tintype

/// tests/data/scripts/make_sinusoid.py: correctly rounded, as Python's are.
@Suite struct SinusoidTests {
  @Test func timestepsMatchToTheBit() throws {
    let recorded = try Safetensors(TestData.url("sinusoid.safetensors"))
    let (expected, half) = (try recorded("features"), try recorded("features_float16"))
    let timesteps = try recorded("timesteps").floats()
    #expect(timesteps.count == 8 && expected.shape == [8, Sinusoid.width])
    for (row, timestep) in timesteps.enumerated() {
      let features = try Sinusoid.features(timestep: timestep, rows: 1)
      let (wide, narrow) = (try expected.row(row).floats(), try half.row(row).floats())
      #expect(features.floats().map(\.bitPattern) == wide.map(\.bitPattern), "\(timestep)")
      #expect(try features.converted(to: .float16).floats() == narrow, "\(timestep)")
    }
  }

  @Test func rowsAreAlikeAndGuidanceIsTimes1000() throws {
    let one = try Sinusoid.features(timestep: 3500, rows: 1).floats()
    let both = try Sinusoid.features(guidanceScale: 3.5, rows: 2)
    #expect(both.floats() == one + one)
    let most = try Sinusoid.features(guidanceScale: Float(Sinusoid.mostGuidance), rows: 1)
    #expect(most.floats().allSatisfy { $0.isFinite })
  }
}
