/// Cuts normalised text into the words that byte-pair merging works on.
///
/// CLIP's published pattern, leftmost alternative first:
///
///     <\|startoftext\|> | <\|endoftext\|> | 's | 't | 're | 've | 'm | 'll | 'd | \p{L}+ | \p{N} | [^\s\p{L}\p{N}]+
///
/// Hugging Face's byte-level step splits its pieces once more, which changes only the first two: they fall into
/// `<|`, the word and `|>` (as special tokens they were cut out before).
enum ClipSplit {
  private static let contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"].map { Array($0.unicodeScalars) }
  private static let markers = ["startoftext", "endoftext"].map { word in
    ["<|", word, "|>"].map { Array($0.unicodeScalars) }
  }

  /// The words, in order; what no alternative matches is white space and is dropped.
  static func words(_ text: [Unicode.Scalar]) -> [ArraySlice<Unicode.Scalar>] {
    var words: [ArraySlice<Unicode.Scalar>] = []
    var start = 0
    while start < text.count {
      if text[start].properties.isWhitespace {
        start += 1
        continue
      }
      for end in ends(in: text, from: start) {
        words.append(text[start..<end])
        start = end
      }
    }
    return words
  }

  /// Where the match that begins at `start` ends; a marker has three ends, anything else one.
  private static func ends(in text: [Unicode.Scalar], from start: Int) -> [Int] {
    let rest = text[start...]
    for marker in markers where rest.starts(with: marker.joined()) {
      return marker.reduce(into: []) { ends, part in ends.append((ends.last ?? start) + part.count) }
    }
    for suffix in contractions where rest.starts(with: suffix) {
      return [start + suffix.count]
    }
    let kind = Kind(text[start])
    guard kind != .number else { return [start + 1] }
    return [rest.firstIndex { Kind($0) != kind } ?? text.count]
  }

  private enum Kind {
    case letter, number, space, other

    init(_ scalar: Unicode.Scalar) {
      switch scalar.properties.generalCategory {
      case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: self = .letter
      case .decimalNumber, .letterNumber, .otherNumber: self = .number
      default: self = scalar.properties.isWhitespace ? .space : .other
      }
    }
  }
}
