/// Why a tensor could not be made.
public enum TensorError: Error, Equatable, Sendable {
  /// The values do not fill the shape.
  case elementCount(shape: [Int], expected: Int, actual: Int)
  /// The bytes do not fill the shape.
  case byteCount(shape: [Int], elementType: ElementType, expected: Int, actual: Int)
  /// A negative extent, or more bytes than an address can count.
  case invalidShape([Int])
  /// The system has not that much memory.
  case outOfMemory(shape: [Int], byteCount: Int)
}

extension TensorError: ExplainedError {
  package var explanation: (problem: String, remedy: String?) {
    switch self {
    case .elementCount(let shape, let expected, let actual):
      ("a tensor of shape \(shape) holds \(expected) elements, got \(actual)", nil)
    case .byteCount(let shape, let elementType, let expected, let actual):
      ("a \(elementType.rawValue) tensor of shape \(shape) takes \(expected) bytes, got \(actual)", nil)
    case .invalidShape(let shape):
      ("\(shape) is no shape: extents must not be negative and their product must fit the address space", nil)
    case .outOfMemory(let shape, let byteCount):
      ("a tensor of shape \(shape) takes \(byteCount) bytes, which is more memory than there is", nil)
    }
  }
}
