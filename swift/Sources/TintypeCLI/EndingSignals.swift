import Dispatch
import Foundation

/// Signals that end a command in order: its task is cancelled, and the run ends before its next model call.
struct EndingSignals {
  private let sources: [any DispatchSourceSignal]

  /// Ctrl-C, SIGTERM, and the SIGHUP of a terminal that closes. A second Ctrl-C ends the process at once. Of the others
  /// what the caller ignores (nohup) stays ignored.
  init(cancelling task: Task<Int32, Never>) {
    sources = [SIGINT, SIGTERM, SIGHUP].compactMap { number in
      let wasIgnored = Self.isIgnore(signal(number, SIG_IGN))
      if wasIgnored, number != SIGINT { return nil }
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { @Sendable in
        if number == SIGINT { signal(number, SIG_DFL) }
        task.cancel()
      }
      source.resume()
      return source
    }
  }

  func stop() { sources.forEach { $0.cancel() } }

  private static func isIgnore(_ handler: (@convention(c) (Int32) -> Void)?) -> Bool {
    unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}
