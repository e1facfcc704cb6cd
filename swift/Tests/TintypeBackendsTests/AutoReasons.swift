import Foundation
import TestSupport

/// The words that Swift and Python share.
struct AutoReasons {
  private let templates: [String: String]

  init() throws { templates = try TestData.decode([String: String].self, "auto_reasons.json") }

  /// One of the texts; values take the place of their names.
  func text(_ key: String, _ values: [String: String]) -> String? {
    templates[key].map { template in
      values.reduce(template) { $0.replacingOccurrences(of: "{\($1.key)}", with: $1.value) }
    }
  }

  func failed(_ package: String, _ reason: String) -> String? {
    text("failed", ["package": package, "reason": reason])
  }
}
