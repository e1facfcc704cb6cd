import CoreML
import Testing

@Test func computeUnitsHaveApplesRawValues() {
  #expect([MLComputeUnits.cpuOnly, .cpuAndGPU, .all, .cpuAndNeuralEngine].map(\.rawValue) == [0, 1, 2, 3])
}
