#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Why `auto` runs a model where it does, in the words that Python has too (tests/data/auto_reasons.json).
enum AutoReason {
  static let available = "auto: Core ML is available"
  static let noCoreML = "auto: Core ML exists on Apple's systems only"

  static func failed(_ package: URL, _ error: any Error) -> String {
    "auto: Core ML could not run \(package.lastPathComponent) (\(error)), so MLX runs it"
  }

  static func remembered(_ package: URL, _ verdict: VerdictStore.Verdict, file: URL?) -> String {
    "auto: Core ML could not run \(package.lastPathComponent) (\(verdict.reason)) on \(verdict.date); to try again, "
      + "remove \(file?.path ?? "the verdict")"
  }

  /// - Parameter packages: the model's chunks, or its one package.
  static func selfTest(_ packages: [URL], _ error: any Error) -> String {
    let names = packages.map { $0.deletingPathExtension().lastPathComponent }.joined(separator: ", ")
    return "auto: \(names) failed the self-test (\(error)), so MLX runs it"
  }

  static func notFinite(_ package: URL) -> String {
    "auto: \(package.deletingPathExtension().lastPathComponent) gave NaN or infinite values on Core ML, so MLX runs it"
  }
}
