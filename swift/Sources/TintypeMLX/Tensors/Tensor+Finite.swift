extension Tensor {
  /// Whether no element is NaN or infinite. Integers always are finite.
  public var isFinite: Bool {
    switch elementType {
    case .float16: withUnsafeBytes { !contains($0.bindMemory(to: UInt16.self), exponent: 0x7c00) }
    case .float32: withUnsafeBytes { !contains($0.bindMemory(to: UInt32.self), exponent: 0x7f80_0000) }
    case .float64: withUnsafeBytes { !contains($0.bindMemory(to: UInt64.self), exponent: 0x7ff0_0000_0000_0000) }
    default: true
    }
  }

  /// A float is NaN or infinite where all bits of its exponent are set. Chunks without branches, so that the compiler
  /// vectorises them.
  private func contains<Bits: FixedWidthInteger>(_ bits: UnsafeBufferPointer<Bits>, exponent: Bits) -> Bool {
    var start = 0
    while start < bits.count {
      let end = min(start + 4096, bits.count)
      var found: Bits = 0
      for index in start..<end { found |= bits[index] & exponent == exponent ? 1 : 0 }
      if found != 0 { return true }
      start = end
    }
    return false
  }
}
