import CTintype
import Dispatch
import TintypeBackends

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

func planComputation(
  path: UnsafePointer<CChar>?, options: UnsafePointer<tt_load_options>?,
  json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, error: ErrorSlot
) -> tt_status {
  reportText("compute_plan", on: path, options, in: json, named: "json", error) { package, settings in
    let report = try waited { try await settings.backend.computePlan(of: package, units: settings.units) }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let document = ComputePlanDocument(report: report, units: settings.units)
    return String(decoding: try encoder.encode(document), as: UTF8.self)
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
