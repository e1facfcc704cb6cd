#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// On which models Core ML failed on this machine, so that `auto` does not wait for the same failure again.
///
/// One small file a verdict, named by the model's content, the system's build, the chip and the compute units: a new
/// system, another chip or a new conversion asks Core ML again.
struct VerdictStore: Sendable {
  let folder: URL
  /// The system's build and the chip.
  var place = ModelKey.place

  struct Verdict: Codable, Equatable, Sendable {
    /// The package's path, for those who look into the folder.
    let package: String
    let reason: String
    let date: String
  }

  /// Where verdicts are kept beside compiled models.
  static func folder(besideCache cacheFolder: URL?) -> URL {
    (cacheFolder ?? CompileCache.standardFolder).appendingPathComponent("verdicts", isDirectory: true)
  }

  /// nil: Core ML may be tried.
  func verdict(on package: URL, units: ComputeUnits) -> Verdict? {
    guard let file = file(of: package, units: units), let data = try? Data(contentsOf: file) else { return nil }
    return try? JSONDecoder().decode(Verdict.self, from: data)
  }

  /// Keeps a failure. A folder that cannot be written costs only time, so it is no error.
  func remember(_ reason: String, on package: URL, units: ComputeUnits) {
    guard let file = file(of: package, units: units) else { return }
    let verdict = Verdict(package: package.standardizedFileURL.path, reason: reason, date: Date().ISO8601Format())
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(verdict) else { return }
    try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try? data.write(to: file, options: .atomic)
  }

  /// Core ML may be tried again.
  func forget(_ package: URL, units: ComputeUnits) {
    guard let file = file(of: package, units: units) else { return }
    try? FileManager.default.removeItem(at: file)
  }

  /// Whether the model's self-test was passed here.
  func hasPassed(_ package: URL, units: ComputeUnits) -> Bool {
    passFile(of: package, units: units).map { FileManager.default.fileExists(atPath: $0.path) } ?? false
  }

  /// Keeps that the self-test was passed, so that it runs at the first use only.
  func rememberPass(_ package: URL, units: ComputeUnits) {
    guard let file = passFile(of: package, units: units) else { return }
    try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try? Data().write(to: file)
  }

  func havePassed(_ packages: [URL], units: ComputeUnits) -> Bool {
    packages.allSatisfy { hasPassed($0, units: units) }
  }

  func rememberPass(_ packages: [URL], units: ComputeUnits) {
    for package in packages { rememberPass(package, units: units) }
  }

  private func passFile(of package: URL, units: ComputeUnits) -> URL? {
    file(of: package, units: units)?.deletingPathExtension().appendingPathExtension("passed")
  }

  /// nil where the package cannot be read; then there is nothing to remember either.
  func file(of package: URL, units: ComputeUnits) -> URL? {
    // Verdicts lie in a folder of the cache's.
    let digests = FileDigests(inCache: folder.deletingLastPathComponent())
    let place = "\(place) \(units.rawValue)"
    guard let digest = try? ModelKey.digest(of: package, place: place, digests) else { return nil }
    let name = package.deletingPathExtension().lastPathComponent
    return folder.appendingPathComponent("\(name)-\(units.rawValue)-\(digest).json")
  }
}
