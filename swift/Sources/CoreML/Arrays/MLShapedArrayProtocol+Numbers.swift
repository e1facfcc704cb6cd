// Arrays of numbers that follow a rule.

extension MLShapedArrayProtocol where Scalar: BinaryFloatingPoint, Scalar.RawSignificand: FixedWidthInteger {
  /// Ones on the diagonal of a square matrix.
  public init(identityMatrixOfSize size: Int) { self.init(diagonalOf: 1, size: size) }

  /// Scalars drawn evenly from a range by the system's generator.
  public init(randomScalarsIn range: Range<Scalar>, shape: [Int]) {
    let count = ShapedBuffer<Scalar>.count(of: shape)
    self.init(scalars: (0..<count).map { _ in Scalar.random(in: range) }, shape: shape)
  }
}

extension MLShapedArrayProtocol where Scalar: FixedWidthInteger {
  /// Ones on the diagonal of a square matrix.
  public init(identityMatrixOfSize size: Int) { self.init(diagonalOf: 1, size: size) }

  /// Scalars drawn evenly from a range by the system's generator.
  public init(randomScalarsIn range: Range<Scalar>, shape: [Int]) {
    let count = ShapedBuffer<Scalar>.count(of: shape)
    self.init(scalars: (0..<count).map { _ in Scalar.random(in: range) }, shape: shape)
  }
}

extension MLShapedArrayProtocol where Scalar: Numeric {
  fileprivate init(diagonalOf one: Scalar, size: Int) {
    self.init(scalars: (0..<(size * size)).map { $0 % (size + 1) == 0 ? one : 0 }, shape: [size, size])
  }
}
