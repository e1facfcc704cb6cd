import Foundation

/// Unicode's normal forms (UAX #15), by the definition.
///
/// Of Foundation only the decompositions of single scalars are used: on Linux it composes what Unicode does not, such as
/// U+1108 U+1176, and leaves the marks of some compatibility decompositions in another order.
extension NormalizerSpec.UnicodeForm {
  /// The text in this form.
  func normalise(_ text: String) -> String {
    let composes = self == .nfc || self == .nfkc
    // What has this form whatever follows: nearly all texts.
    let last: UInt32 = self == .nfc ? 0x2FF : 0x7F
    if text.unicodeScalars.allSatisfy({ $0.value <= last }) { return text }
    let decomposed = decompose(text)
    return String(scalars: composes ? Composition.composed(decomposed) : decomposed)
  }

  private func decompose(_ text: String) -> [Unicode.Scalar] {
    var result: [Unicode.Scalar] = []
    for scalar in text.unicodeScalars {
      if scalar.isASCII {
        result.append(scalar)
        continue
      }
      let whole = String(scalar)
      let isCompatible = self == .nfkc || self == .nfkd
      let parts =
        isCompatible ? whole.decomposedStringWithCompatibilityMapping : whole.decomposedStringWithCanonicalMapping
      for part in parts.unicodeScalars { Self.insert(part, into: &result) }
    }
    return result
  }

  /// Canonical order: a mark stands behind those of its class and of lower ones.
  private static func insert(_ scalar: Unicode.Scalar, into result: inout [Unicode.Scalar]) {
    let order = scalar.combiningClass
    var place = result.count
    if order > 0 { while place > 0, result[place - 1].combiningClass > order { place -= 1 } }
    result.insert(scalar, at: place)
  }
}

/// Canonical composition.
private enum Composition {
  private struct Pair: Hashable {
    let first: Unicode.Scalar
    let second: Unicode.Scalar
  }

  static func composed(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var result: [Unicode.Scalar] = []
    var starter: Int?
    for scalar in scalars {
      let order = scalar.combiningClass
      if let starter, let last = result.last, starter == result.count - 1 || last.combiningClass < order,
        let whole = hangul(result[starter], scalar) ?? pairs[Pair(first: result[starter], second: scalar)]
      {
        result[starter] = whole
        continue
      }
      if order == 0 { starter = result.count }
      result.append(scalar)
    }
    return result
  }

  /// A Hangul syllable of two jamo, or of a syllable without a final and one.
  private static func hangul(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
    let (initials, vowels, finals): (UInt32, UInt32, UInt32) = (19, 21, 28)
    let initial = first.value &- 0x1100
    let vowel = second.value &- 0x1161
    if initial < initials, vowel < vowels { return Unicode.Scalar(0xAC00 + (initial * vowels + vowel) * finals) }
    let syllable = first.value &- 0xAC00
    // U+11A7 stands for no final.
    let final = second.value &- 0x11A7
    guard syllable < initials * vowels * finals, syllable % finals == 0, final > 0, final < finals else { return nil }
    return Unicode.Scalar(first.value + final)
  }

  /// The blocks with scalars that others compose to, but for Hangul.
  private static let blocks: [ClosedRange<UInt32>] = [
    0xC0...0x52F, 0x600...0x6FF, 0x900...0xDFF, 0x1000...0x109F, 0x1B00...0x1B7F, 0x1E00...0x1FFF, 0x2190...0x22FF,
    0x3040...0x30FF, 0x11080...0x115FF, 0x11900...0x1195F, 0x16100...0x1613F, 0x16D40...0x16D7F,
  ]

  /// From the scalars' decompositions: the last scalar of one, and what those before it compose to.
  private static let pairs: [Pair: Unicode.Scalar] = {
    let whole = blocks.joined().compactMap(Unicode.Scalar.init).filter { !$0.properties.isFullCompositionExclusion }
    // One call for all, since each costs microseconds.
    let lines = String(scalars: whole.flatMap { [$0, "\n"] }).decomposedStringWithCanonicalMapping
    var pairs: [Pair: Unicode.Scalar] = [:]
    for (scalar, parts) in zip(whole, lines.unicodeScalars.split(separator: "\n")) {
      guard parts.count > 1, let last = parts.last else { continue }
      let first = String(scalars: parts.dropLast()).precomposedStringWithCanonicalMapping.unicodeScalars
      guard first.count == 1, let only = first.first else { continue }
      pairs[Pair(first: only, second: last)] = scalar
    }
    return pairs
  }()
}

extension Unicode.Scalar {
  fileprivate var combiningClass: UInt8 { properties.canonicalCombiningClass.rawValue }
}
