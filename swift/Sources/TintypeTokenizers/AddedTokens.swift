/// A token that is found in the text itself, before anything is normalised or split.
struct AddedToken: Sendable, Equatable {
  let id: Int32
  let content: String
  /// Only where no letter, digit or underscore touches it.
  var singleWord = false
  /// Also swallows the white space before or after it.
  var stripsLeft = false
  var stripsRight = false
}

/// Finds added tokens, the leftmost and then the longest first, as Hugging Face's `AddedVocabulary` does.
struct AddedTokens: Sendable {
  enum Part: Equatable {
    case token(Int32)
    case text(String)
  }

  private let tokens: [(bytes: [UInt8], token: AddedToken)]
  private let firstBytes: Set<UInt8>

  init(_ tokens: [AddedToken]) {
    self.tokens = tokens.filter { !$0.content.isEmpty }
      .map { (Array($0.content.utf8), $0) }
      .sorted { $0.bytes.count > $1.bytes.count }
    self.firstBytes = Set(self.tokens.compactMap(\.bytes.first))
  }

  var isEmpty: Bool { tokens.isEmpty }

  /// The text in order, in tokens and what lies between them; empty stretches are left out.
  func split(_ text: String) -> [Part] {
    if tokens.isEmpty { return text.isEmpty ? [] : [.text(text)] }
    let bytes = Array(text.utf8)
    var parts: [Part] = []
    var textStart = 0
    var at = 0
    while at < bytes.count {
      guard firstBytes.contains(bytes[at]),
        let (match, token) = tokens.first(where: { bytes[at...].starts(with: $0.bytes) })
      else {
        at += 1
        continue
      }
      let end = at + match.count
      defer { at = end }
      if token.singleWord, touchesWord(bytes, at, end) { continue }
      let from = token.stripsLeft ? max(textStart, trimmedEnd(bytes, upTo: at)) : at
      if from > textStart { parts.append(.text(String(decoding: bytes[textStart..<from], as: UTF8.self))) }
      parts.append(.token(token.id))
      textStart = token.stripsRight ? trimmedStart(bytes, from: end) : end
    }
    if textStart < bytes.count { parts.append(.text(String(decoding: bytes[textStart...], as: UTF8.self))) }
    return parts
  }

  private func touchesWord(_ bytes: [UInt8], _ start: Int, _ end: Int) -> Bool {
    let before = String(decoding: bytes[..<start], as: UTF8.self).unicodeScalars.last
    let after = String(decoding: bytes[end...], as: UTF8.self).unicodeScalars.first
    return [before, after].compactMap { $0 }.contains(where: isWordCharacter)
  }

  /// `\w` of Rust's regex crate (UTS #18): letters, marks, decimal digits, connectors, joiners.
  private func isWordCharacter(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: true
    default: scalar.properties.isAlphabetic || scalar.properties.isJoinControl
    }
  }

  private func trimmedEnd(_ bytes: [UInt8], upTo end: Int) -> Int {
    let spaces = String(decoding: bytes[..<end], as: UTF8.self).unicodeScalars.reversed()
      .prefix { $0.properties.isWhitespace }
    return end - spaces.reduce(0) { $0 + UTF8.width($1) }
  }

  private func trimmedStart(_ bytes: [UInt8], from start: Int) -> Int {
    let spaces = String(decoding: bytes[start...], as: UTF8.self).unicodeScalars.prefix { $0.properties.isWhitespace }
    return spaces.reduce(start) { $0 + UTF8.width($1) }
  }
}
