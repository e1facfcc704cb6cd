#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// An error in two halves: what is wrong, with the values, and what helps.
package protocol ExplainedError: LocalizedError, CustomStringConvertible {
  /// The remedy is nil where there is none, or the problem says it itself.
  var explanation: (problem: String, remedy: String?) { get }
}

extension ExplainedError {
  /// Both halves.
  public var description: String {
    let (problem, remedy) = explanation
    return remedy.map { "\(problem): \($0)" } ?? problem
  }

  /// The problem alone: an alert shows the remedy beside it.
  public var errorDescription: String? { explanation.problem }

  /// The remedy.
  public var recoverySuggestion: String? { explanation.remedy }
}
