/// A command line that cannot be run; the text ends with where help is.
struct ArgumentError: Error, Equatable, CustomStringConvertible {
  let problem: String
  /// The command whose help explains more, such as "tintype generate".
  let command: String

  var description: String { "\(problem) (see `\(command) --help`)" }
}

/// The known name that a mistyped one most likely means: the only one that it begins, else the nearest by edits, if at
/// most a third of it is wrong.
func suggestion(for name: String, among known: [String]) -> String? {
  let begun = known.filter { $0.hasPrefix(name) && name.count > 2 }
  if begun.count == 1 { return begun[0] }
  let nearest = known.map { (name: $0, distance: editDistance(name, $0)) }.min { $0.distance < $1.distance }
  guard let nearest, nearest.distance <= max(1, max(name.count, nearest.name.count) / 3) else { return nil }
  return nearest.name
}

/// Insertions, deletions, replacements and swaps of neighbours that make one text of another.
func editDistance(_ first: String, _ second: String) -> Int {
  let (a, b) = (Array(first), Array(second))
  var rows = [Array(0...b.count)]
  for i in a.indices {
    var row = [i + 1]
    for j in b.indices {
      var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, rows[i - 1][j - 1] + 1) }
      row.append(best)
    }
    rows.append(row)
  }
  return rows[a.count][b.count]
}
