import Foundation
import Tintype

/// Reads `.safetensors` files for the tests: UInt64 header length, JSON header, data.
struct Safetensors {
  private struct Entry: Decodable {
    let dtype: String
    let shape: [Int]
    let offsets: [Int]

    private enum CodingKeys: String, CodingKey {
      case dtype, shape
      case offsets = "data_offsets"
    }
  }
  struct Damaged: Error {
    let name: String
  }
  let tensors: [String: Tensor]

  init(_ url: URL) throws {
    let data = try Data(contentsOf: url)
    let length = data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    guard data.count >= 8 + length else { throw Damaged(name: url.lastPathComponent) }
    let header = data[8..<8 + length]
    let object = try JSONSerialization.jsonObject(with: header) as? [String: Any] ?? [:]
    var tensors: [String: Tensor] = [:]
    for (name, value) in object where name != "__metadata__" {
      let entry = try JSONDecoder().decode(Entry.self, from: JSONSerialization.data(withJSONObject: value))
      guard let type = ["F32": ElementType.float32, "I32": .int32, "F16": .float16, "I64": .int64][entry.dtype],
        entry.offsets.count == 2, 8 + length + entry.offsets[1] <= data.count
      else { throw Damaged(name: name) }
      let bytes = data[8 + length + entry.offsets[0]..<8 + length + entry.offsets[1]]
      tensors[name] = try bytes.withUnsafeBytes { try Tensor(shape: entry.shape, elementType: type, bytes: $0) }
    }
    self.tensors = tensors
  }

  func callAsFunction(_ name: String) throws -> Tensor {
    guard let tensor = tensors[name] else { throw Damaged(name: name) }
    return tensor
  }
}
