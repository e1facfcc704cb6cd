import TintypePackages

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A compiled model in the cache, with small files beside it: `.source` lists the packages that it serves, `.files` says
/// what it is made of, `.again` that it was made anew once.
struct CacheEntry {
  /// The `.mlmodelc`.
  let url: URL

  /// Paths of the packages that it was made from or found by; empty where nobody knows.
  var packages: [String] { text(in: "source").map { $0.split(separator: "\n").map(String.init) } ?? [] }

  /// The entry serves this package too. Packages that are gone are dropped from the list.
  func serve(_ package: String) {
    let known = packages
    if known.contains(package) { return }
    write(known.filter(FileManager.default.fileExists(atPath:)) + [package])
  }

  /// Whether a package that exists still needs the entry, when `changed` has another one.
  func isWanted(after changed: String) -> Bool {
    let known = packages
    let remaining = known.filter { $0 != changed && FileManager.default.fileExists(atPath: $0) }
    if !remaining.isEmpty, remaining != known { write(remaining) }
    return known.isEmpty || !remaining.isEmpty
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
    for kind in ["source", "files", "again"] { try? FileManager.default.removeItem(at: note(kind)) }
  }

  private var files: String {
    PackageFiles(package: url).all().map { "\($0.size) \($0.path)" }.joined(separator: "\n")
  }

  private func write(_ packages: [String]) { write(packages.joined(separator: "\n"), in: "source") }

  private func note(_ kind: String) -> URL { url.deletingPathExtension().appendingPathExtension(kind) }

  private func text(in kind: String) -> String? {
    (try? Data(contentsOf: note(kind))).map { String(decoding: $0, as: UTF8.self) }
  }

  /// What cannot be noted costs only time.
  private func write(_ text: String, in kind: String) { try? Data(text.utf8).write(to: note(kind), options: .atomic) }
}
