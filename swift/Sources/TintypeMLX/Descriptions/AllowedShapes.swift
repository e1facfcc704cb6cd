/// The shapes that a flexible array may have.
public enum AllowedShapes: Sendable, Hashable {
  /// One of these.
  case enumerated([[Int]])
  /// Any with extents in these ranges, one an axis.
  case ranges([ExtentRange])

  /// Whether an array may have the shape.
  public func allow(_ shape: [Int]) -> Bool {
    switch self {
    case .enumerated(let shapes): shapes.contains(shape)
    case .ranges(let ranges): ranges.count == shape.count && zip(ranges, shape).allSatisfy { $0.contains($1) }
    }
  }

  /// -1 stands for an extent that is not the same in all of them; nil where they differ in their axes.
  public var commonShape: [Int]? {
    switch self {
    case .ranges(let ranges): return ranges.map { $0.fixed ?? -1 }
    case .enumerated(let shapes):
      guard let first = shapes.first, shapes.allSatisfy({ $0.count == first.count }) else { return nil }
      return first.indices.map { axis in shapes.allSatisfy { $0[axis] == first[axis] } ? first[axis] : -1 }
    }
  }

  /// In words, such as "[2 to 4, 3]" or "[2, 3] or [4, 3]".
  public var text: String {
    switch self {
    case .enumerated(let shapes): shapes.map { "\($0)" }.joined(separator: " or ")
    case .ranges(let ranges): "[\(ranges.map(\.text).joined(separator: ", "))]"
    }
  }
}

extension ExtentRange {
  /// "4", "2 to 8" or "3 or more".
  public var text: String { fixed.map { "\($0)" } ?? upper.map { "\(lower) to \($0)" } ?? "\(lower) or more" }
}
