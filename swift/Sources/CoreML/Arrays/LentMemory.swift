#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Memory that a caller lends, given back with the object.
///
/// `Data` would not do: it copies what fits into itself, and gives the memory back at once.
final class LentMemory: @unchecked Sendable {
  private let base: UnsafeMutableRawPointer
  private let count: Int
  private let deallocator: Data.Deallocator

  init(_ base: UnsafeMutableRawPointer, count: Int, deallocator: Data.Deallocator) {
    self.base = base
    self.count = count
    self.deallocator = deallocator
  }

  deinit {
    switch deallocator {
    case .none: break
    case .custom(let release): release(base, count)
    case .unmap: munmap(base, count)
    default: free(base)
    }
  }
}
