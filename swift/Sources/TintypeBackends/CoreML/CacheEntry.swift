import TintypePackages

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A compiled model in the cache, with small files beside it: `.source` lists the packages that it serves, `.files` says
/// what it is made of, `.again` that it was made anew once, `.gone` since when none of its packages was found.
struct CacheEntry {
  /// The `.mlmodelc`.
  let url: URL

  /// Paths of the packages that it was made from or found by; empty where nobody knows.
  var packages: [String] { text(in: "source").map { $0.split(separator: "\n").map(String.init) } ?? [] }

  /// The entry serves this package too. Packages that are gone are dropped from the list.
  func serve(_ package: String) {
    let known = packages
    try? FileManager.default.removeItem(at: note("gone"))
    if known.contains(package) { return }
    write(known.filter(FileManager.default.fileExists(atPath:)) + [package])
  }

  /// Whether another package than `changed`, which has an entry of its own, may still need this one. A package that is
  /// gone may come back from elsewhere (an app that was updated, another volume), within `patience` seconds.
  func isWanted(after changed: String, patience: Double) -> Bool {
    let known = packages
    let others = known.filter { $0 != changed }
    if known.isEmpty || others.isEmpty { return known.isEmpty }
    let present = others.filter(FileManager.default.fileExists(atPath:))
    let remaining = present.isEmpty ? others : present
    if remaining != known { write(remaining) }
    guard present.isEmpty else {
      try? FileManager.default.removeItem(at: note("gone"))
      return true
    }
    if text(in: "gone") == nil { write("", in: "gone") }
    return (try? FileStatus(of: note("gone"))).map { $0.age < patience } ?? false
  }

  /// Keeps what the entry is made of, to tell damage later.
  func recordFiles() { write(files, in: "files") }

  /// Whether files are missing or of another size than they were made with: a cleaner, or a disk that was full.
  var isDamaged: Bool { text(in: "files").map { $0 != files } ?? false }

  /// Whether it was made anew because it could not be read.
  var wasMadeAnew: Bool { text(in: "again") != nil }
  func rememberMadeAnew() { write("", in: "again") }

  func remove() {
    try? FileManager.default.removeItem(at: url)
    for kind in ["source", "files", "again", "gone"] { try? FileManager.default.removeItem(at: note(kind)) }
  }

  private var files: String {
    ((try? PackageFiles(package: url).all()) ?? []).map { "\($0.size) \($0.path)" }.joined(separator: "\n")
  }

  private func write(_ packages: [String]) { write(packages.joined(separator: "\n"), in: "source") }

  private func note(_ kind: String) -> URL { url.deletingPathExtension().appendingPathExtension(kind) }

  private func text(in kind: String) -> String? {
    (try? Data(contentsOf: note(kind))).map { String(decoding: $0, as: UTF8.self) }
  }

  /// What cannot be noted costs only time.
  private func write(_ text: String, in kind: String) { try? Data(text.utf8).write(to: note(kind), options: .atomic) }
}
