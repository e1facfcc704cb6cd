import CoreML
import Testing

/// Tensors' arithmetic as Apple documents it. NumPy gives the expected numbers where no closed form does.
@Suite struct TensorTests {
  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  @Test func angles() async {
    let x = MLTensor([-0.5, 0.25, 0.75])
    let expected: [(String, MLTensor, [Float])] = [
      ("sinh", x.sinh(), [-0.5210953, 0.25261232, 0.82231673]),
      ("cosh", x.cosh(), [1.127626, 1.0314131, 1.2946833]),
      ("tanh", x.tanh(), [-0.46211716, 0.24491866, 0.635149]),
      ("tan", x.tan(), [-0.5463025, 0.25534192, 0.93159646]),
      ("sin", x.sin(), [-0.47942554, 0.24740396, 0.68163876]),
      ("cos", x.cos(), [0.87758256, 0.96891242, 0.73168887]),
      ("asin", x.asin(), [-0.52359878, 0.25268026, 0.84806208]),
      ("acos", x.acos(), [2.0943951, 1.3181161, 0.72273425]),
      ("atan", x.atan(), [-0.46364761, 0.24497866, 0.6435011]),
      ("asinh", x.asinh(), [-0.48121183, 0.24746646, 0.69314718]),
      ("atanh", x.atanh(), [-0.54930614, 0.25541281, 0.97295507]),
    ]
    for (name, tensor, values) in expected {
      let floats = await tensor.floats
      #expect(zip(floats, values).allSatisfy { abs($0 - $1) < 1e-5 }, "\(name)")
    }
  }

  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  @Test func runningProducts() async {
    let y = MLTensor.rows([[1, 2, 3], [4, 5, 6]])
    #expect(await y.cumulativeProduct(alongAxis: 1).floats == [1, 2, 6, 4, 20, 120])
    #expect(await y.cumulativeProduct().floats == [1, 2, 3, 4, 10, 18])
    #expect(await y.product(alongAxes: [0, 1]).floats == [720])
  }

  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  @Test func vectorsMultiply() async {
    let (v, w) = (MLTensor([1.0, 2.0, 3.0, 4.0]), MLTensor([5.0, 6.0, 7.0, 8.0]))
    let dot = v.matmul(w)
    #expect(dot.isScalar)
    #expect(await dot.floats == [70])
    let m = MLTensor.rows([[1, 2, 3], [4, 5, 6]])
    #expect(await m.matmul(MLTensor([1.0, 0.0, 2.0])).floats == [7, 16])
    #expect(await MLTensor([1.0, 2.0]).matmul(m).floats == [9, 12, 15])
  }

  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  @Test func bandsOfMatrices() async {
    let t = MLTensor.rows([[5, 1, 2, 3], [-1, 5, 1, 2], [-2, -1, 5, 1], [-3, -2, -1, 5]])
    #expect(
      await t.bandPart(lowerBandCount: 0, upperBandCount: 0).floats == [5, 0, 0, 0, 0, 5, 0, 0, 0, 0, 5, 0, 0, 0, 0, 5])
    #expect(
      await t.bandPart(lowerBandCount: 0, upperBandCount: -1).floats
        == [5, 1, 2, 3, 0, 5, 1, 2, 0, 0, 5, 1, 0, 0, 0, 5])
    #expect(
      await t.bandPart(lowerBandCount: 1, upperBandCount: 2).floats
        == [5, 1, 2, 0, -1, 5, 1, 2, 0, -1, 5, 1, 0, 0, -1, 5])
    let causal = MLTensor(ones: [2, 2, 2], scalarType: Float.self).bandPart(lowerBandCount: -1, upperBandCount: 0)
    #expect(await causal.floats == [1, 0, 1, 1, 1, 0, 1, 1])
  }
}

@available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
extension MLTensor {
  /// The scalars as floats, for comparisons.
  fileprivate var floats: [Float] {
    get async { await shapedArray(of: Float.self).scalars }
  }

  /// Floats in rows of one length.
  fileprivate static func rows(_ rows: [[Float]]) -> MLTensor {
    MLTensor(shape: [rows.count, rows[0].count], scalars: rows.flatMap { $0 }, scalarType: Float.self)
  }
}
