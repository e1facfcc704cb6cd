/// An index or a range in a subscript of a tensor.
public protocol MLTensorRangeExpression: Sendable {
  /// What the expression stands for. Not for use outside of this package.
  var _mlTensorRange: _MLTensorRange { get }
}

/// What an index or a range in a subscript stands for. Not for use outside of this package.
public struct _MLTensorRange: MLTensorRangeExpression {
  enum Kind {
    /// One part of an axis, which disappears.
    case index(Int)
    /// Parts of an axis; nil stands for its end.
    case part(from: Int, upTo: Int?, stride: Int)
    /// As many whole axes as the other expressions leave.
    case fillAll
    /// A new axis of extent 1.
    case newAxis
    /// An axis of extent 1 that disappears.
    case squeezeAxis
  }

  let kind: Kind

  init(_ kind: Kind) { self.kind = kind }

  /// Itself.
  public var _mlTensorRange: _MLTensorRange { self }

  /// The number of the tensor's axes that it stands for; nil: as many as are left.
  var axes: Int? {
    switch kind {
    case .index, .part, .squeezeAxis: 1
    case .fillAll: nil
    case .newAxis: 0
    }
  }
}

extension MLTensorRangeExpression where Self == _MLTensorRange {
  /// All axes that the other expressions leave, as `...` does.
  public static var fillAll: any MLTensorRangeExpression { _MLTensorRange(.fillAll) }
  /// A new axis of extent 1.
  public static var newAxis: any MLTensorRangeExpression { _MLTensorRange(.newAxis) }
  /// Removes an axis, whose extent must be 1.
  public static var squeezeAxis: any MLTensorRangeExpression { _MLTensorRange(.squeezeAxis) }

  /// One part of an axis, which disappears.
  public static func index(_ index: Int) -> any MLTensorRangeExpression { _MLTensorRange(.index(index)) }

  /// Every `stride`-th part of a range.
  public static func range(_ range: Range<Int>, stride: Int = 1) -> any MLTensorRangeExpression {
    _MLTensorRange(.part(from: range.lowerBound, upTo: range.upperBound, stride: stride))
  }

  /// Every `stride`-th part of a range.
  public static func closedRange(_ range: ClosedRange<Int>, stride: Int = 1) -> any MLTensorRangeExpression {
    _MLTensorRange(through: range.upperBound, from: range.lowerBound, stride: stride)
  }

  /// Every `stride`-th part from an index on.
  public static func partialRangeFrom(_ range: PartialRangeFrom<Int>, stride: Int = 1) -> any MLTensorRangeExpression {
    _MLTensorRange(.part(from: range.lowerBound, upTo: nil, stride: stride))
  }

  /// Every `stride`-th part before an index.
  public static func partialRangeUpTo(_ range: PartialRangeUpTo<Int>, stride: Int = 1) -> any MLTensorRangeExpression {
    _MLTensorRange(.part(from: 0, upTo: range.upperBound, stride: stride))
  }

  /// Every `stride`-th part up to an index.
  public static func partialRangeUpTo(
    _ range: PartialRangeThrough<Int>, stride: Int = 1
  ) -> any MLTensorRangeExpression {
    _MLTensorRange(through: range.upperBound, from: 0, stride: stride)
  }
}

extension _MLTensorRange {
  /// The last index, -1, is followed by the end.
  fileprivate init(through last: Int, from first: Int, stride: Int) {
    self.init(.part(from: first, upTo: last == -1 ? nil : last + 1, stride: stride))
  }
}

extension Int: MLTensorRangeExpression {
  /// One part of an axis.
  public var _mlTensorRange: _MLTensorRange { _MLTensorRange(.index(self)) }
}

extension Range: MLTensorRangeExpression where Bound == Int {
  /// Parts of an axis.
  public var _mlTensorRange: _MLTensorRange { _MLTensorRange(.part(from: lowerBound, upTo: upperBound, stride: 1)) }
}

extension ClosedRange: MLTensorRangeExpression where Bound == Int {
  /// Parts of an axis.
  public var _mlTensorRange: _MLTensorRange { _MLTensorRange(through: upperBound, from: lowerBound, stride: 1) }
}

extension PartialRangeFrom: MLTensorRangeExpression where Bound == Int {
  /// Parts of an axis.
  public var _mlTensorRange: _MLTensorRange { _MLTensorRange(.part(from: lowerBound, upTo: nil, stride: 1)) }
}

extension PartialRangeUpTo: MLTensorRangeExpression where Bound == Int {
  /// Parts of an axis.
  public var _mlTensorRange: _MLTensorRange { _MLTensorRange(.part(from: 0, upTo: upperBound, stride: 1)) }
}

extension PartialRangeThrough: MLTensorRangeExpression where Bound == Int {
  /// Parts of an axis.
  public var _mlTensorRange: _MLTensorRange { _MLTensorRange(through: upperBound, from: 0, stride: 1) }
}
