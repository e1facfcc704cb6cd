import Tintype

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension PredictionStatistics {
  /// A table, the kind of op that took longest first, and the peaks of memory.
  var lines: [String] {
    let peaks = [("live values", peakLiveBytes), ("allocated", peakAllocatedBytes)].compactMap { name, bytes in
      bytes.map { "\(name) \(bytesText($0))" }
    }
    let time = "\(decimals(1000 * duration.seconds, 2)) ms"
    let sum = time + (peaks.isEmpty ? "" : "; peak of \(peaks.joined(separator: ", "))")
    guard !operations.isEmpty else { return ["\(time); Core ML does not tell the ops' shares, nor the memory"] }
    return tableLines([["op"] + costColumns] + rows(of: operations), right: 1..<4) + [sum]
  }
}

/// A run's stages, the ops of each, and the peak of the process.
func stageLines(_ stages: [(stage: PipelineStage, cost: StageStatistics)]) -> [String] {
  guard !stages.isEmpty else { return [] }
  let head = ["stage", "backend", "predictions", "ms", "peak", "weights"]
  let sums = stages.map { stage, cost in
    [
      stage.rawValue, cost.backends.joinedName, "\(cost.predictions)",
      decimals(1000 * cost.duration.seconds, 2), cost.peakBytes.map(bytesText) ?? "-",
      cost.weightBytes.map(bytesText) ?? "-",
    ]
  }
  let ops = stages.flatMap { stage, cost in
    rows(of: cost.operations).enumerated().map { [$0 == 0 ? stage.rawValue : ""] + $1 }
  }
  var lines = tableLines([head] + sums, right: 2..<6)
  if !ops.isEmpty { lines += [""] + tableLines([["stage", "op"] + costColumns] + ops, right: 2..<5) }
  lines += ["", "peak of the process: \(bytesText(processPeak()))"]
  let untold = stages.flatMap(\.cost.untold).map(\.rawValue)
  lines += Set(untold).sorted().map { "\($0) tells a prediction's time alone: no ops, no memory" }
  return lines
}

private let costColumns = ["calls", "ms", "bytes"]

/// What took longest first.
private func rows(of operations: [String: PredictionStatistics.Operation]) -> [[String]] {
  operations.sorted { ($1.value.duration, $0.key) < ($0.value.duration, $1.key) }.map { name, row in
    [name, "\(row.calls)", decimals(1000 * row.duration.seconds, 2), bytesText(row.bytes)]
  }
}

/// Bytes that this process had in memory at most, files that it mapped included.
private func processPeak() -> Int {
  #if os(Linux)
    let (who, unit) = (RUSAGE_SELF.rawValue, 1024)  // Linux counts kilobytes
  #else
    let (who, unit) = (RUSAGE_SELF, 1)
  #endif
  var usage = rusage()
  return getrusage(who, &usage) == 0 ? usage.ru_maxrss * unit : 0
}
