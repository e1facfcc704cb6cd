import Foundation
import Tintype

/// A folder of models as `inspect` prints it, such as Python's `convert --profile apple-sd3` writes: packages as they are
/// read, compiled models by their size.
struct FolderReport: Encodable {
  private let path: String
  private let profile: Profile?
  private let packages: [(name: String, report: PackageReport)]
  private let compiled: [(name: String, bytes: Int)]

  /// What `profile.json` says, in the keys of `bundle.json`.
  private struct Profile: Encodable {
    static let file = "profile.json"
    static let known = "apple-sd3"
    let descriptor: BundleDescriptor

    private struct Name: Codable { let profile: String }

    /// Nil for none, and for one of another kind or release.
    init?(in folder: URL) {
      let file = folder.appendingPathComponent(Self.file)
      guard let data = try? Data(contentsOf: file),
        (try? JSONDecoder().decode(Name.self, from: data))?.profile == Self.known,
        let descriptor = try? ModelBundle.decode(data, file: file.path)
      else { return nil }
      self.descriptor = descriptor
    }

    func encode(to encoder: any Encoder) throws {
      try descriptor.encode(to: encoder)
      try Name(profile: Self.known).encode(to: encoder)
    }

    /// What a package's weights are stored as.
    func storage(of package: String) -> String {
      guard let row = descriptor.components.values.first(where: { $0.path == "\(package).mlpackage" }) else {
        return ""
      }
      guard case .string(let recipe) = row.compression?["recipe"], recipe != "none" else {
        return descriptor.precision.rawValue
      }
      return recipe
    }
  }

  private enum CodingKeys: String, CodingKey {
    case kind, path, profile, packages, compiled
  }

  /// Throws `BackendError.failed` where a package cannot be read.
  init(_ folder: URL) throws {
    path = folder.givenPath
    profile = Profile(in: folder)
    packages = try Self.models(in: folder, "mlpackage").map { name, url in
      (name, PackageReport(try PackageSummary(package: url), path: url.givenPath))
    }
    compiled = Self.models(in: folder, "mlmodelc").map { ($0, folderBytes($1)) }
  }

  /// Packages, or compiled models, in the order of their names.
  static func models(in folder: URL, _ suffix: String) -> [(name: String, url: URL)] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.filter { $0.hasSuffix(".\(suffix)") }.sorted().map {
      (String($0.dropLast(suffix.count + 1)), folder.appendingPathComponent($0))
    }
  }

  func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode("folder", forKey: .kind)
    try values.encode(path, forKey: .path)
    try values.encode(profile, forKey: .profile)
    let reports = packages.map { ($0.name, $0.report.contents) }
    try values.encode(Dictionary(uniqueKeysWithValues: reports), forKey: .packages)
    try values.encode(Dictionary(uniqueKeysWithValues: compiled.map { ($0.name, $0.bytes) }), forKey: .compiled)
  }

  var text: String {
    var lines = ["\(path): a folder of models"]
    if let descriptor = profile?.descriptor {
      lines = [
        "\(descriptor.name) for Apple's pipeline (\(Profile.known)), \(descriptor.precision.rawValue), \(descriptor.size)"
      ]
    }
    let head = ["package", "parameters", "weights", "stored as", "ops", "inputs", "outputs"]
    let rows = packages.map { name, report in
      let function = report.main
      func features(_ rows: [FeatureRow]?) -> String { (rows ?? []).map(\.text).joined(separator: "; ") }
      return [
        name, countText(report.contents.parameters), bytesText(report.contents.weightBytes),
        profile?.storage(of: name) ?? "",
        "\(function?.opCount ?? 0)", features(function?.inputs), features(function?.outputs),
      ]
    }
    let numbers: Set = [1, 2, 4]
    lines += tableLines([head] + rows, right: numbers)
    lines += compiled.map {
      "\($0.name).mlmodelc: compiled, \(bytesText($0.bytes)); only Core ML on a Mac reads it"
    }
    return lines.joined(separator: "\n")
  }
}

/// Bytes of all files in a folder.
private func folderBytes(_ folder: URL) -> Int {
  let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: [.fileSizeKey, .isRegularFileKey])
  return (files?.allObjects ?? []).reduce(0) { sum, file in
    let values = try? (file as? URL)?.resourceValues(forKeys: [.fileSizeKey, .isRegularFileKey])
    return sum + (values?.isRegularFile == true ? values?.fileSize ?? 0 : 0)
  }
}
