/// Splits normalised text into the pieces that the model sees one by one.
struct PreTokenizer: Sendable {
  private enum Step: Sendable {
    case whitespaceSplit
    case metaspace(PreTokenizerSpec.Metaspace)
  }
  private struct Piece {
    var scalars: [Unicode.Scalar]
    /// Whether the piece begins where the whole text began.
    var isFirst: Bool
  }
  private let steps: [Step]

  init(_ spec: PreTokenizerSpec?) {
    func flatten(_ spec: PreTokenizerSpec) -> [Step] {
      switch spec {
      case .sequence(let specs): specs.flatMap(flatten)
      case .whitespaceSplit: [.whitespaceSplit]
      case .metaspace(let metaspace): [.metaspace(metaspace)]
      }
    }
    steps = spec.map(flatten) ?? []
  }

  func pieces(_ text: String, isFirst: Bool) -> [[Unicode.Scalar]] {
    let whole = [Piece(scalars: Array(text.unicodeScalars), isFirst: isFirst)]
    return steps.reduce(whole) { pieces, step in
      pieces.flatMap { piece -> [Piece] in
        switch step {
        case .whitespaceSplit: return Self.words(piece)
        case .metaspace(let metaspace): return Self.marked(piece, metaspace)
        }
      }
    }
    .map(\.scalars).filter { !$0.isEmpty }
  }

  private static func words(_ piece: Piece) -> [Piece] {
    piece.scalars.split { $0.properties.isWhitespace }.map { word in
      Piece(scalars: Array(word), isFirst: piece.isFirst && word.startIndex == 0)
    }
  }

  /// Spaces become the mark, a mark is put in front, and every mark begins a piece.
  private static func marked(_ piece: Piece, _ metaspace: PreTokenizerSpec.Metaspace) -> [Piece] {
    let mark = metaspace.replacement
    var scalars = piece.scalars.map { $0 == " " ? mark : $0 }
    guard let first = scalars.first else { return [] }
    let prepends =
      switch metaspace.prepend {
      case .always: first != mark
      case .first: first != mark && piece.isFirst
      case .never: false
      }
    if prepends { scalars.insert(mark, at: 0) }
    guard metaspace.splits else { return [Piece(scalars: scalars, isFirst: piece.isFirst)] }
    var pieces: [Piece] = []
    for scalar in scalars {
      if scalar == mark || pieces.isEmpty {
        pieces.append(Piece(scalars: [scalar], isFirst: piece.isFirst && pieces.isEmpty))
      } else {
        pieces[pieces.count - 1].scalars.append(scalar)
      }
    }
    return pieces
  }
}
