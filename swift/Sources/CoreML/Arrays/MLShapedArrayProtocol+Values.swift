import TintypeMLX

// What shaped arrays and slices are as values: equal where shape and scalars are, whatever the memory looks like.

extension MLShapedArrayProtocol where Scalar: Equatable {
  /// Whether both have the same shape and scalars.
  public static func == (left: Self, right: Self) -> Bool {
    left.shape == right.shape && left.scalars == right.scalars
  }
}

extension MLShapedArrayProtocol where Scalar: Hashable {
  /// Feeds shape and scalars to the hasher.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(shape)
    hasher.combine(scalars)
  }
}

private enum ShapedArrayKeys: String, CodingKey {
  case scalars, shape
}

extension MLShapedArrayProtocol where Scalar: Codable {
  /// Reads shape and scalars; throws where they do not fit each other.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: ShapedArrayKeys.self)
    let shape = try container.decode([Int].self, forKey: .shape)
    let scalars = try container.decode([Scalar].self, forKey: .scalars)
    guard (try? Tensor.elementCount(of: shape, elementType: .float64)) == scalars.count else {
      throw DecodingError.dataCorruptedError(
        forKey: .scalars, in: container, debugDescription: "\(scalars.count) scalars do not fill shape \(shape)")
    }
    self.init(scalars: scalars, shape: shape)
  }

  /// Writes shape and scalars, in row-major order.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: ShapedArrayKeys.self)
    try container.encode(shape, forKey: .shape)
    try container.encode(scalars, forKey: .scalars)
  }
}
