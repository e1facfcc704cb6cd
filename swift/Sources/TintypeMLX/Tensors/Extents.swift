/// A shape, or strides, in the C ABI.
package typealias Extents = (Int64, Int64, Int64, Int64, Int64, Int64, Int64, Int64)

extension [Int] {
  /// The first `rank` extents.
  package init(_ extents: Extents, rank: Int32) {
    self = Swift.withUnsafeBytes(of: extents) { bytes in
      bytes.bindMemory(to: Int64.self).prefix(Int(Swift.max(rank, 0))).map { Int(truncatingIfNeeded: $0) }
    }
  }

  /// Sets the extents that there are values for; more than eight have no place.
  package func store(in extents: inout Extents) {
    Swift.withUnsafeMutableBytes(of: &extents) { bytes in
      let target = bytes.bindMemory(to: Int64.self)
      for (index, value) in prefix(target.count).enumerated() { target[index] = Int64(value) }
    }
  }
}
