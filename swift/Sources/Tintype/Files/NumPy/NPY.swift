import Foundation

/// NumPy's `.npy` files. Those that are written have version 1.0: magic, header length, header, values in row-major order.
package enum NPY {
  package static func encode(_ tensor: Tensor) -> Data {
    let shape = tensor.shape.map(String.init).joined(separator: ", ") + (tensor.shape.count == 1 ? "," : "")
    var data = head(descriptor(tensor.elementType), shape: shape)
    tensor.withUnsafeBytes { data.append(contentsOf: $0) }
    return data
  }

  /// NumPy's type of a text: of so many code points, four bytes each.
  package static func descriptor(ofText text: String) -> String { "<U\(max(text.unicodeScalars.count, 1))" }

  /// An array without axes that holds a text.
  package static func encode(text: String) -> Data {
    var data = head(descriptor(ofText: text), shape: "")
    for scalar in text.isEmpty ? ["\0"] : Array(text.unicodeScalars) {
      withUnsafeBytes(of: scalar.value.littleEndian) { data.append(contentsOf: $0) }
    }
    return data
  }

  private static func head(_ descriptor: String, shape: String) -> Data {
    var header = "{'descr': '\(descriptor)', 'fortran_order': False, 'shape': (\(shape)), }"
    // The values begin at a multiple of 64, after the magic, the version and the length (10 bytes) and the newline.
    header += String(repeating: " ", count: 63 - (header.utf8.count + 10) % 64) + "\n"
    let length = UInt16(clamping: header.utf8.count)
    var data = Data([0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)])
    data.append(contentsOf: header.utf8)
    return data
  }

  static func descriptor(_ type: ElementType) -> String {
    switch type {
    case .bool: "|b1"
    case .int8: "|i1"
    case .uint8: "|u1"
    case .int16: "<i2"
    case .uint16: "<u2"
    case .int32: "<i4"
    case .uint32: "<u4"
    case .int64: "<i8"
    case .float16: "<f2"
    case .float32: "<f4"
    case .float64: "<f8"
    }
  }
}
