#if canImport(ObjectiveC)
  import ObjectiveC
#endif

/// Runs `body` and frees what Objective-C leaves for later in it. Core ML's results are such objects, and threads that are
/// none of Cocoa's (Python's, for one) free them only when they end.
func withAutoreleasePool<Result>(_ body: () throws -> Result) rethrows -> Result {
  #if canImport(ObjectiveC)
    return try autoreleasepool(invoking: body)
  #else
    return try body()
  #endif
}
