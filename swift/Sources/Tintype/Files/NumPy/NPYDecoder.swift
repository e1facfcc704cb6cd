import Foundation

/// Why a file is no array that can be read.
package enum NPYError: Error, Equatable, Sendable {
  /// The file does not begin as NumPy's do.
  case notNPY
  /// The header is wrong, or elements are missing.
  case damaged(reason: String)
  /// A type of element that tensors do not have, as NumPy writes it: "<u8", "|O", "<c8".
  case elementType(String)
}

extension NPYError: ExplainedError {
  package var explanation: (problem: String, remedy: String?) {
    switch self {
    case .notNPY: ("it is not an .npy file", "save the array with numpy.save")
    case .damaged(let reason): ("the .npy file is damaged (\(reason))", "save the array again")
    case .elementType(let type):
      (
        "its elements are '\(type)', expected bool, integers but uint64, or floats",
        "convert the array with astype before it is saved"
      )
    }
  }
}

extension NPY {
  /// Reads an `.npy` file of version 1, 2 or 3, in C or Fortran order, of either byte order. Throws `NPYError`.
  package static func decode(_ data: Data) throws -> Tensor {
    var bytes = [UInt8](data)
    guard bytes.count > 12, bytes.starts(with: [0x93] + Array("NUMPY".utf8)) else { throw NPYError.notNPY }
    let lengthBytes = bytes[6] == 1 ? 2 : 4
    guard (1...3).contains(bytes[6]) else { throw NPYError.damaged(reason: "version \(bytes[6]) is unknown") }
    let length = bytes[8..<8 + lengthBytes].reversed().reduce(0) { $0 << 8 | Int($1) }
    let start = 8 + lengthBytes + length
    guard start <= bytes.count else { throw NPYError.damaged(reason: "its header is cut") }
    let header = String(decoding: bytes[(8 + lengthBytes)..<start], as: UTF8.self)
    guard let type = quoted(after: "'descr':", in: header), let shape = shape(in: header) else {
      throw NPYError.damaged(reason: "its header has no descr or shape")
    }
    let isSwapped = type.hasPrefix(">")
    guard
      let elementType = ElementType.allCases.first(where: {
        descriptor($0) == (isSwapped ? "<" + type.dropFirst() : type)
      })
    else { throw NPYError.elementType(type) }
    let count: Int
    do {
      count = try Tensor.elementCount(of: shape, elementType: elementType)
    } catch {
      throw NPYError.damaged(reason: "its shape \(shape) is impossible")
    }
    let expected = count * elementType.size
    guard bytes.count - start == expected else {
      throw NPYError.damaged(reason: "its values take \(bytes.count - start) bytes, expected \(expected)")
    }
    if isSwapped {
      for place in stride(from: start, to: bytes.count, by: elementType.size) {
        bytes[place..<place + elementType.size].reverse()
      }
    }
    return try bytes[start...].withUnsafeBytes { values in
      guard let base = values.baseAddress, count > 0 else {
        return try Tensor.zeros(shape: shape, elementType: elementType)
      }
      var strides = TensorView.contiguousStrides(of: shape)
      // In Fortran's order the first index runs fastest.
      if header.contains("'fortran_order': True") {
        strides = Array(TensorView.contiguousStrides(of: shape.reversed()).reversed())
      }
      return try Tensor(copying: TensorView(base: base, elementType: elementType, shape: shape, strides: strides))
    }
  }

  private static func quoted(after key: String, in header: String) -> String? {
    guard let place = header.range(of: key) else { return nil }
    let parts = header[place.upperBound...].split(separator: "'", maxSplits: 2, omittingEmptySubsequences: false)
    return parts.count == 3 ? String(parts[1]) : nil
  }

  private static func shape(in header: String) -> [Int]? {
    guard let place = header.range(of: "'shape':"), let open = header[place.upperBound...].firstIndex(of: "("),
      let close = header[open...].firstIndex(of: ")")
    else { return nil }
    let texts = header[header.index(after: open)..<close].split(separator: ",").map {
      $0.filter { !$0.isWhitespace }
    }
    let extents = texts.filter { !$0.isEmpty }.map { Int($0) }
    return extents.contains { $0 == nil } ? nil : extents.compactMap { $0 }
  }
}
