import Foundation

/// Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011), drawn from as
/// cuRAND does: the key is the seed, the counter's first word the number of draws before this one, its third word the
/// element's place; the first two words of the result make one normal number by Box and Muller's sine.
///
/// PyTorch's CUDA generator numbers its elements so for tensors that one pass of the device covers. The bits are the
/// device's; its fast logarithm and sine differ from these in the last digits.
public struct PhiloxRandom: NormalGenerator {
  private let key: (low: UInt32, high: UInt32)
  private var draw: UInt32 = 0

  /// From a seed that fits 32 bits.
  public init(seed: UInt32) { self.init(seed: UInt64(seed)) }

  /// From the key.
  public init(seed: UInt64) { key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)) }

  /// The next numbers of mean 0 and variance 1: one draw of a tensor with so many elements.
  public mutating func normals(_ count: Int) -> [Double] {
    guard count > 0 else { return [] }
    defer { draw &+= 1 }
    return (0..<count).map { index in
      let words = Self.block([draw, 0, UInt32(truncatingIfNeeded: index), 0], key: key)
      let radius = (-2 * log((Double(words[0]) + 0.5) * 0x1p-32)).squareRoot()
      return radius * sin((Double(words[1]) + 0.5) * 0x1p-32 * 2 * Double.pi)
    }
  }

  /// Ten rounds over a counter of four words.
  static func block(_ counter: [UInt32], key: (low: UInt32, high: UInt32)) -> [UInt32] {
    var words = counter
    var (low, high) = key
    for _ in 0..<10 {
      let first = UInt32(0xd251_1f53).multipliedFullWidth(by: words[0])
      let second = UInt32(0xcd9e_8d57).multipliedFullWidth(by: words[2])
      words = [second.high ^ words[1] ^ low, second.low, first.high ^ words[3] ^ high, first.low]
      // The golden ratio and √3 − 1, as fractions of 2³².
      low &+= 0x9e37_79b9
      high &+= 0xbb67_ae85
    }
    return words
  }
}
