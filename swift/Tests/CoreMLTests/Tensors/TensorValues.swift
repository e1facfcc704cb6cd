import CoreML

extension MLTensor {
  /// The scalars as floats, for comparisons.
  var floats: [Float] {
    get async { await shapedArray(of: Float.self).scalars }
  }

  /// The scalars as integers, for comparisons.
  var integers: [Int32] {
    get async { await shapedArray(of: Int32.self).scalars }
  }

  /// Floats in rows of one length.
  static func rows(_ rows: [[Float]]) -> MLTensor {
    MLTensor(shape: [rows.count, rows.first?.count ?? 0], scalars: rows.flatMap { $0 })
  }

  /// `#expect` cannot compare metatypes itself.
  func holds(_ type: any MLTensorScalar.Type) -> Bool { scalarType == type }
}
