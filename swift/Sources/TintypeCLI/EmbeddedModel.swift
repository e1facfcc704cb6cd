import Foundation
import Tintype

/// The embedded default model. Python's package carries it and converts it into the cache folder on first use; here
/// it is only found there.
enum EmbeddedModel {
  /// As python/tintype/embedded.py names it: this, a dash and a hash of its source.
  private static let prefix = "tintype-demo-"

  /// The newest complete bundle of the model; throws, saying how to get one, if there is none.
  static func folder(environment: [String: String]) throws -> URL {
    let cache = cacheFolder(environment: environment)
    let keys: [URLResourceKey] = [.isDirectoryKey, .contentModificationDateKey]
    let entries = (try? FileManager.default.contentsOfDirectory(at: cache, includingPropertiesForKeys: keys)) ?? []
    let bundles = entries.filter { entry in
      entry.lastPathComponent.hasPrefix(prefix) && (try? ModelBundle(at: entry)) != nil
    }
    func date(_ url: URL) -> Date {
      (try? url.resourceValues(forKeys: Set(keys)).contentModificationDate) ?? .distantPast
    }
    guard let newest = bundles.max(by: { date($0) < date($1) }) else { throw NotConverted(cache: cache.path) }
    return newest
  }

  /// `TINTYPE_CACHE`, or the folder "tintype" of the system's cache folder, as platformdirs finds it for Python.
  static func cacheFolder(environment: [String: String]) -> URL {
    if let named = environment["TINTYPE_CACHE"], !named.isEmpty {
      return URL(fileURLWithPath: (named as NSString).expandingTildeInPath)
    }
    let home = URL(fileURLWithPath: environment["HOME"] ?? NSHomeDirectory())
    #if os(Linux)
      if let caches = environment["XDG_CACHE_HOME"], !caches.trimmingCharacters(in: .whitespaces).isEmpty {
        return URL(fileURLWithPath: caches).appendingPathComponent("tintype")
      }
      return home.appendingPathComponent(".cache/tintype")
    #else
      return home.appendingPathComponent("Library/Caches/tintype")
    #endif
  }

  struct NotConverted: Error, CustomStringConvertible {
    let cache: String
    var description: String {
      "the embedded model has not been converted (looked in \(cache)): run Python's `tintype generate` once, "
        + "or `tintype convert SOURCE -o BUNDLE` and name the bundle with --model"
    }
  }
}
