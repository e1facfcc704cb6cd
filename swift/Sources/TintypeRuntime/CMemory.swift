import CTintype
import TintypeBackends

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A malloc'ed copy for the C side, which frees it with `string_free`.
func copyToC(_ text: String) -> UnsafeMutablePointer<CChar>? { strdup(text) }

func freeC(_ pointer: UnsafeMutablePointer<CChar>?) { free(pointer) }

/// A C string that lives as long as its owner.
final class CName: @unchecked Sendable {
  /// Immutable, hence shared between threads.
  let pointer: UnsafePointer<CChar>?

  init(_ text: String) { pointer = UnsafePointer(copyToC(text)) }
  deinit { freeC(UnsafeMutablePointer(mutating: pointer)) }
}

/// What the caller did wrong in terms of the C ABI.
struct MisuseError: Error {
  let message: String
  init(_ message: String) { self.message = message }
}

typealias ErrorSlot = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?

/// Runs `body`; a thrown error becomes a status and, where the caller wants one, a message.
func attempt(_ slot: ErrorSlot, _ body: () throws -> Void) -> tt_status {
  slot?.pointee = nil
  do {
    try body()
    return tt_status(TT_OK)
  } catch {
    let (status, message) = explain(error)
    slot?.pointee = copyToC(message)
    return status
  }
}

private func explain(_ error: any Error) -> (tt_status, String) {
  switch error {
  case let error as MisuseError: (tt_status(TT_ERROR_INVALID_ARGUMENT), error.message)
  case let error as BackendError: (error.kind.rawValue, error.description)
  case TensorError.outOfMemory: (tt_status(TT_ERROR_OUT_OF_MEMORY), "\(error)")
  case let error as TensorError: (tt_status(TT_ERROR_INVALID_ARGUMENT), error.description)
  case is CancellationError: (tt_status(TT_ERROR_CANCELLED), "the prediction was cancelled")
  default: (tt_status(TT_ERROR_RUNTIME), "\(error)")
  }
}
