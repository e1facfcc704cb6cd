import Tintype

extension PredictionStatistics {
  /// A table, the kind of op that took longest first, and the peaks of memory.
  var lines: [String] {
    let peaks = [("live values", peakLiveBytes), ("allocated", peakAllocatedBytes)].compactMap { name, bytes in
      bytes.map { "\(name) \(bytesText($0))" }
    }
    let sum = "\(decimals(1000 * seconds, 2)) ms" + (peaks.isEmpty ? "" : "; peak of \(peaks.joined(separator: ", "))")
    guard !operations.isEmpty else { return [sum] }
    let rows = operations.sorted { ($1.value.seconds, $0.key) < ($0.value.seconds, $1.key) }.map { name, row in
      [name, "\(row.calls)", decimals(1000 * row.seconds, 2), decimals(Double(row.bytes) / 1e6, 2)]
    }
    return tableLines([["op", "calls", "ms", "MB"]] + rows, right: 1..<4) + [sum]
  }
}
