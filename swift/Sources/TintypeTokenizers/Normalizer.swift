import Foundation

/// The normalizers of a `tokenizer.json`, ready to run.
indirect enum Normalizer: Sendable {
  case sequence([Normalizer])
  case precompiled(PrecompiledMap)
  case form(NormalizerSpec.UnicodeForm)
  case lowercase
  case strip(left: Bool, right: Bool)
  case replace(RunPattern, with: [Unicode.Scalar])

  init(_ spec: NormalizerSpec, file: String) throws {
    switch spec {
    case .sequence(let specs):
      self = .sequence(try specs.map { try Normalizer($0, file: file) })
    case .precompiled(let charsmap):
      guard let map = PrecompiledMap(base64: charsmap) else {
        throw TokenizerError.malformed(
          file: file, reason: "precompiled_charsmap of \(charsmap.utf8.count) characters holds no trie",
          expected: "base64 of a trie's size, its units and its replacements")
      }
      self = .precompiled(map)
    case .form(let form): self = .form(form)
    case .lowercase: self = .lowercase
    case .strip(let left, let right): self = .strip(left: left, right: right)
    case .replace(.literal(let text), let content):
      self = .replace(RunPattern(literal: text), with: Array(content.unicodeScalars))
    case .replace(.regex(let text), let content):
      guard let pattern = RunPattern(regex: text) else {
        throw TokenizerError.unsupported(
          part: "pattern", value: text, file: file,
          supported: "plain text, and one character or \\s followed by + or {n,}")
      }
      self = .replace(pattern, with: Array(content.unicodeScalars))
    }
  }

  func normalise(_ text: String) -> String {
    switch self {
    case .sequence(let steps): return steps.reduce(text) { $1.normalise($0) }
    case .precompiled(let map): return map.normalise(text)
    case .form(let form): return form.normalise(text)
    case .lowercase:
      return String(scalars: text.unicodeScalars.flatMap { $0.properties.lowercaseMapping.unicodeScalars })
    case .strip(let left, let right):
      var scalars = text.unicodeScalars[...]
      while left, scalars.first?.properties.isWhitespace == true { scalars.removeFirst() }
      while right, scalars.last?.properties.isWhitespace == true { scalars.removeLast() }
      return String(scalars)
    case .replace(let pattern, let content):
      return String(scalars: pattern.replace(in: Array(text.unicodeScalars), with: content))
    }
  }
}

/// What the Replace normalizers of real tokenizers look for: a literal, or a run of one character.
struct RunPattern: Sendable {
  private enum Atom: Sendable {
    case literal([Unicode.Scalar])
    case whitespace
  }
  private let atom: Atom
  private let least: Int
  private let most: Int

  init(literal: String) {
    atom = .literal(Array(literal.unicodeScalars))
    (least, most) = (1, 1)
  }

  /// Reads `x`, `x+`, `x{n,}` and the same with `\s`; nil for every other regular expression.
  init?(regex: String) {
    var rest = Array(regex.unicodeScalars)[...]
    if rest.starts(with: "\\s".unicodeScalars) {
      atom = .whitespace
      rest = rest.dropFirst(2)
    } else if let scalar = rest.popFirst(), !"\\^$.|?*+()[]{}".unicodeScalars.contains(scalar) {
      atom = .literal([scalar])
    } else {
      return nil
    }
    let quantifier = String(scalars: rest)
    switch quantifier {
    case "": (least, most) = (1, 1)
    case "+": (least, most) = (1, .max)
    default:
      guard quantifier.hasPrefix("{"), quantifier.hasSuffix(",}"), let count = Int(quantifier.dropFirst().dropLast(2)),
        count > 0
      else { return nil }
      (least, most) = (count, .max)
    }
  }

  func replace(in text: [Unicode.Scalar], with content: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var result: [Unicode.Scalar] = []
    result.reserveCapacity(text.count)
    var at = 0
    while at < text.count {
      var end = at
      var count = 0
      while count < most, let width = match(text, at: end) {
        end += width
        count += 1
      }
      if count >= least {
        result += content
        at = end
      } else {
        result += text[at..<max(end, at + 1)]
        at = max(end, at + 1)
      }
    }
    return result
  }

  /// How many scalars one atom takes at a position; nil where it does not match.
  private func match(_ text: [Unicode.Scalar], at index: Int) -> Int? {
    switch atom {
    case .whitespace:
      return index < text.count && text[index].properties.isWhitespace ? 1 : nil
    case .literal(let literal):
      return !literal.isEmpty && text[index...].starts(with: literal) ? literal.count : nil
    }
  }
}

extension String {
  init(scalars: some Sequence<Unicode.Scalar>) {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    self.init(view)
  }
}
