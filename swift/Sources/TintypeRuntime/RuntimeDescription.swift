import CTintype
import TintypeBackends

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The Core ML backend behind the table, with the system's cache folder.
let runtime = CoreMLBackend()

/// What `describe_runtime` says. It never claims more than what runs: see `implementation`.
struct RuntimeDescription: Encodable {
  private enum CodingKeys: String, CodingKey {
    case name, version, implementation, device, os
    case computeUnits = "compute_units"
  }

  private struct Device: Encodable {
    let kind = CoreMLPlatform.deviceKind
    let name = CoreMLPlatform.deviceName
  }

  private let name = "coreml"
  private let version = TT_VERSION
  private let implementation = CoreMLPlatform.implementation
  private let device = Device()
  private let os = ProcessInfo.processInfo.operatingSystemVersionString
  private let computeUnits = CoreMLPlatform.computeUnits

  static var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let data = try? encoder.encode(RuntimeDescription())
    return data.map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }
}
