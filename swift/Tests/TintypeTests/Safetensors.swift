@testable import Tintype

extension Safetensors {
  struct Missing: Error {
    let name: String
  }

  func callAsFunction(_ name: String) throws -> Tensor {
    guard let tensor = tensors[name] else { throw Missing(name: name) }
    return tensor
  }
}
