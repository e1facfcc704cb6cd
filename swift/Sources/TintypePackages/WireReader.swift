/// Reads protobuf's wire format from bytes that need not be well-formed.
package struct WireReader {
  package enum Value {
    case number(UInt64)
    case bytes(ArraySlice<UInt8>)
  }

  /// The bytes are no protobuf message.
  package struct Malformed: Error, Equatable, CustomStringConvertible {
    package let offset: Int
    package var description: String { "its model file is damaged at byte \(offset)" }

    package init(offset: Int) { self.offset = offset }
  }

  private var rest: ArraySlice<UInt8>

  package init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  /// The next field, or nil at the end.
  package mutating func next() throws -> (field: Int, value: Value)? {
    if rest.isEmpty { return nil }
    let key = try varint()
    let field = Int(truncatingIfNeeded: key >> 3)
    switch key & 7 {
    case 0: return (field, .number(try varint()))
    case 1: return (field, .number(try fixed(8)))
    case 2:
      let length = try varint()
      guard length <= UInt64(rest.count) else { throw Malformed(offset: rest.startIndex) }
      let bytes = rest.prefix(Int(length))
      rest = rest.dropFirst(Int(length))
      return (field, .bytes(bytes))
    case 5: return (field, .number(try fixed(4)))
    default: throw Malformed(offset: rest.startIndex)
    }
  }

  /// Calls `body` with every field.
  package static func forEach(_ bytes: ArraySlice<UInt8>, _ body: (Int, Value) throws -> Void) throws {
    var reader = WireReader(bytes)
    while let (field, value) = try reader.next() { try body(field, value) }
  }

  /// The first field of a number that is a message, a text or bytes.
  package static func first(_ wanted: Int, in message: ArraySlice<UInt8>) throws -> ArraySlice<UInt8>? {
    var reader = WireReader(message)
    while let (field, value) = try reader.next() {
      if field == wanted, let bytes = value.bytes { return bytes }
    }
    return nil
  }

  /// Repeated integers, packed or not.
  package static func integers(_ value: Value) throws -> [Int] {
    switch value {
    case .number(let number): return [Int(truncatingIfNeeded: number)]
    case .bytes(let bytes):
      var reader = WireReader(bytes)
      var result: [Int] = []
      while !reader.rest.isEmpty { result.append(Int(truncatingIfNeeded: try reader.varint())) }
      return result
    }
  }

  /// Key and value of an entry of a map whose values are messages.
  package static func mapEntry(_ entry: ArraySlice<UInt8>) throws -> (key: String, value: ArraySlice<UInt8>?) {
    var key = ""
    var content: ArraySlice<UInt8>?
    try forEach(entry) { field, value in
      if field == 1 { key = value.text ?? "" }
      if field == 2 { content = value.bytes }
    }
    return (key, content)
  }

  private mutating func varint() throws -> UInt64 {
    var result: UInt64 = 0
    for shift in stride(from: 0, to: 64, by: 7) {
      guard let byte = rest.popFirst() else { throw Malformed(offset: rest.startIndex) }
      result |= UInt64(byte & 0x7f) << UInt64(shift)
      if byte & 0x80 == 0 { return result }
    }
    throw Malformed(offset: rest.startIndex)
  }

  private mutating func fixed(_ count: Int) throws -> UInt64 {
    guard rest.count >= count else { throw Malformed(offset: rest.startIndex) }
    let result = rest.prefix(count).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    rest = rest.dropFirst(count)
    return result
  }
}

extension WireReader.Value {
  package var bytes: ArraySlice<UInt8>? {
    if case .bytes(let bytes) = self { bytes } else { nil }
  }
  package var number: UInt64? {
    if case .number(let number) = self { number } else { nil }
  }
  package var text: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }
}
