import CTintype
import Dispatch
import TintypeBackends

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What `compute_plan` says: Core ML's report and whose Core ML made it.
private struct PlanDocument: Encodable {
  let report: ComputePlanReport
  let units: ComputeUnits

  private enum CodingKeys: String, CodingKey {
    case implementation, units
  }

  func encode(to encoder: any Encoder) throws {
    try report.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(CoreMLPlatform.implementation, forKey: .implementation)
    try values.encode(units, forKey: .units)
  }
}

func planComputation(
  path: UnsafePointer<CChar>?, options: UnsafePointer<tt_load_options>?,
  json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, error: ErrorSlot
) -> tt_status {
  reportText("compute_plan", on: path, options, in: json, named: "json", error) { package, settings in
    let report = try waited { try await settings.backend.computePlan(of: package, units: settings.units) }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(PlanDocument(report: report, units: settings.units)), as: UTF8.self)
  }
}

/// The result of a task, for a caller in C, whose thread may wait.
private func waited<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
  let result = Locked<Result<Value, any Error>?>(nil)
  let done = DispatchSemaphore(value: 0)
  Task.detached(priority: Task.currentPriority) {
    let outcome: Result<Value, any Error>
    do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
    result.withLock { $0 = outcome }
    done.signal()
  }
  done.wait()
  guard let outcome = result.withLock({ $0 }) else { throw CancellationError() }
  return try outcome.get()
}
