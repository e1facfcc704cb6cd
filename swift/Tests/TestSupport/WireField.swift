/// A length-delimited field of a protobuf message.
public func wireField(_ number: Int, _ bytes: [UInt8]) -> [UInt8] {
  varint(number << 3 | 2) + varint(bytes.count) + bytes
}

public func wireField(_ number: Int, _ text: String) -> [UInt8] { wireField(number, Array(text.utf8)) }

private func varint(_ value: Int) -> [UInt8] {
  value < 128 ? [UInt8(value)] : [UInt8(value & 127 | 128)] + varint(value >> 7)
}
