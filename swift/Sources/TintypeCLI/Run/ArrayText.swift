import Tintype

/// A tensor's values in brackets, an axis a level, as NumPy sets them; the middle of large ones is left out.
struct ArrayText {
  /// More values than that are not all shown, but this many at both ends of an axis.
  private static let most = 1000
  private static let edge = 3
  private static let width = 75

  private let shape: [Int]
  private let strides: [Int]
  private let isCut: Bool
  private let value: (Int) -> String

  init(_ tensor: Tensor) {
    let shape = tensor.shape
    self.shape = shape
    strides = shape.indices.map { shape[($0 + 1)...].reduce(1, *) }
    isCut = tensor.count > Self.most
    value = Self.values(of: tensor)
  }

  var lines: [String] {
    if shape.isEmpty { return [value(0)] }
    if shape.contains(0) { return ["[]"] }
    let column = places(0).flatMap(shownOffsets).map { value($0).count }.max() ?? 0
    return lines(axis: 0, offset: 0, column: column)
  }

  private static func values(of tensor: Tensor) -> (Int) -> String {
    switch tensor.elementType {
    case .float16, .float32: return { [floats = tensor.floats()] in floats[$0].description }
    case .float64: return { [doubles = tensor.doubles()] in doubles[$0].description }
    case .bool: return { [flags = tensor.int32s()] in flags[$0] == 0 ? "false" : "true" }
    case .int64, .uint32:
      let bits = tensor.elementType == .int64
      return { index in
        tensor.withUnsafeBytes { bytes in
          bits ? "\(bytes.bindMemory(to: Int64.self)[index])" : "\(bytes.bindMemory(to: UInt32.self)[index])"
        }
      }
    case .int8, .uint8, .int16, .uint16, .int32: return { [integers = tensor.int32s()] in "\(integers[$0])" }
    }
  }

  /// Places on an axis that are shown; nil: those left out.
  private func places(_ axis: Int) -> [Int?] {
    let extent = shape[axis]
    guard isCut, extent > 2 * Self.edge else { return Array(0..<extent) }
    return Array(0..<Self.edge) + [nil] + Array(extent - Self.edge..<extent)
  }

  /// Offsets of all values that are shown at one place of the first axis.
  private func shownOffsets(_ first: Int?) -> [Int] {
    guard let first else { return [] }
    return shape.indices.dropFirst().reduce([first * strides[0]]) { offsets, axis in
      offsets.flatMap { offset in places(axis).compactMap { $0.map { offset + $0 * strides[axis] } } }
    }
  }

  private func lines(axis: Int, offset: Int, column: Int) -> [String] {
    let parts: [String]
    if axis == shape.count - 1 {
      parts = row(offset, column: column, indent: axis + 1)
    } else {
      parts = places(axis).flatMap { place -> [String] in
        guard let place else { return ["..."] }
        return lines(axis: axis + 1, offset: offset + place * strides[axis], column: column)
      }
    }
    // The first line carries the bracket, the others stand below what follows it.
    let bracketed = parts.enumerated().map { ($0 == 0 ? "[" : " ") + $1 }
    return bracketed.dropLast() + [(bracketed.last ?? "") + "]"]
  }

  private func row(_ offset: Int, column: Int, indent: Int) -> [String] {
    var lines = [""]
    for place in places(shape.count - 1) {
      let text = place.map { value(offset + $0) } ?? "..."
      let padded = String(repeating: " ", count: place == nil ? 0 : column - text.count) + text
      let last = lines[lines.count - 1]
      if last.isEmpty {
        lines[lines.count - 1] = padded
      } else if indent + last.count + 1 + padded.count > Self.width {
        lines.append(padded)
      } else {
        lines[lines.count - 1] = last + " " + padded
      }
    }
    return lines
  }
}
