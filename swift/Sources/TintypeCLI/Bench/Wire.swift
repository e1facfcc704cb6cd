/// Writes protobuf's wire format.
enum Wire {
  static func number(_ field: Int, _ value: Int) -> [UInt8] { varint(field << 3) + varint(value) }

  static func message(_ field: Int, _ body: [UInt8]) -> [UInt8] { varint(field << 3 | 2) + varint(body.count) + body }

  static func text(_ field: Int, _ text: String) -> [UInt8] { message(field, Array(text.utf8)) }

  /// An entry of a map from texts to messages.
  static func entry(_ field: Int, _ key: String, _ value: [UInt8]) -> [UInt8] {
    message(field, text(1, key) + message(2, value))
  }

  private static func varint(_ value: Int) -> [UInt8] {
    var (rest, bytes) = (UInt64(value), [UInt8]())
    while rest > 0x7f {
      bytes.append(UInt8(rest & 0x7f) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }
}
