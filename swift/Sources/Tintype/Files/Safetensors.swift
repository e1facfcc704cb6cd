import Foundation
import TintypeBackends

/// A `.safetensors` file: UInt64 header length, JSON header, data. Read whole, since those of a bundle are small.
package struct Safetensors: Sendable {
  let tensors: [String: Tensor]

  private struct Entry: Codable {
    let dtype: String
    let shape: [Int]
    let offsets: [Int]

    private enum CodingKeys: String, CodingKey {
      case dtype, shape
      case offsets = "data_offsets"
    }
  }

  /// A header holds names and shapes; one that is longer is a mistake.
  private static let longestHeader = 1 << 24

  private static let elementTypes: [String: ElementType] = [
    "BOOL": .bool, "I8": .int8, "U8": .uint8, "I16": .int16, "U16": .uint16, "I32": .int32, "U32": .uint32,
    "I64": .int64, "F16": .float16, "F32": .float32, "F64": .float64,
  ]

  /// Throws `BundleError.damagedTensors`.
  init(_ url: URL) throws {
    func fail(_ reason: String) -> BundleError { .damagedTensors(file: url.path, reason: reason) }
    let bytes: [UInt8]
    do { bytes = [UInt8](try Data(contentsOf: url)) } catch { throw fail(CoreMLPlatform.reason(of: error)) }
    guard bytes.count >= 8 else { throw fail("it has \(bytes.count) bytes, expected a header's length in 8") }
    let length = bytes[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= Self.longestHeader, Int(length) <= bytes.count - 8 else {
      throw fail("its header is \(length) bytes long, but the file has \(bytes.count)")
    }
    let start = 8 + Int(length)
    let header: [String: JSONValue]
    do {
      header = try JSONDecoder().decode([String: JSONValue].self, from: Data(bytes[8..<start]))
    } catch {
      throw fail("its header is no JSON object")
    }
    var tensors: [String: Tensor] = [:]
    for (name, value) in header where name != "__metadata__" {
      guard let data = try? JSONEncoder().encode(value), let entry = try? JSONDecoder().decode(Entry.self, from: data)
      else { throw fail("'\(name)' has no dtype, shape and data_offsets") }
      guard let type = Self.elementTypes[entry.dtype] else { throw fail("'\(name)' has the dtype \(entry.dtype)") }
      guard entry.offsets.count == 2, entry.offsets[0] >= 0, entry.offsets[0] <= entry.offsets[1],
        entry.offsets[1] <= bytes.count - start
      else { throw fail("'\(name)' lies at \(entry.offsets), outside of \(bytes.count - start) bytes of data") }
      do {
        tensors[name] = try bytes[start + entry.offsets[0]..<start + entry.offsets[1]].withUnsafeBytes {
          try Tensor(shape: entry.shape, elementType: type, bytes: $0)
        }
      } catch {
        throw fail("'\(name)': \(error)")
      }
    }
    self.tensors = tensors
  }

  /// A file of one tensor.
  package static func encode(_ name: String, _ tensor: Tensor) throws -> Data {
    let dtype = elementTypes.first { $0.value == tensor.elementType }?.key ?? ""
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    var header = try encoder.encode([name: Entry(dtype: dtype, shape: tensor.shape, offsets: [0, tensor.byteCount])])
    // The data begin at a multiple of 8.
    header.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - header.count % 8) % 8))
    var data = withUnsafeBytes(of: UInt64(header.count).littleEndian) { Data($0) } + header
    tensor.withUnsafeBytes { data.append(contentsOf: $0) }
    return data
  }
}
