import Testing
import TintypeMLX

@Suite struct FiniteTests {
  @Test(arguments: [ElementType.float16, .float32, .float64])
  func everyFloatTypeIsWatched(_ type: ElementType) throws {
    var values = [Float](repeating: 1, count: 9000)
    #expect(try Tensor(shape: [9000], floats: values).converted(to: type).isFinite)
    for bad in [Float.nan, .infinity, -.infinity] {
      for index in [0, 4096, 8999] {
        values[index] = bad
        #expect(try !Tensor(shape: [9000], floats: values).converted(to: type).isFinite)
        values[index] = 1
      }
    }
  }

  @Test func largeAndSmallNumbersAreFinite() throws {
    let values: [Float] = [.greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude, -0.0]
    #expect(try Tensor(shape: [4], floats: values).isFinite)
    #expect(try Tensor(shape: [2], float16Bits: [0x7bff, 0x8001]).isFinite)
    #expect(try Tensor(shape: [2], int32s: [.max, .min]).isFinite)
    #expect(try Tensor(shape: [0], floats: []).isFinite)
  }
}
