import Foundation
import Testing
import Tintype

@Suite struct NPYDecoderTests {
  private func file(_ header: String, _ values: [UInt8], version: UInt8 = 1) -> Data {
    let length = UInt16(header.utf8.count)
    let size: [UInt8] = version == 1 ? [UInt8(length & 0xFF), UInt8(length >> 8)] : [UInt8(length), 0, 0, 0]
    return Data([0x93] + Array("NUMPY".utf8) + [version, 0] + size + Array(header.utf8) + values)
  }

  @Test(arguments: ElementType.allCases) func readsWhatIsWritten(_ type: ElementType) throws {
    for shape in [[2, 3], [], [0, 4], [6]] {
      let tensor = try Tensor(shape: shape, elementType: type) { bytes in
        for index in bytes.indices { bytes[index] = type == .bool ? UInt8(index % 2) : UInt8(index) }
      }
      let back = try NPY.decode(NPY.encode(tensor))
      #expect(back.shape == shape && back.elementType == type)
      #expect(back.withUnsafeBytes { Array($0) } == tensor.withUnsafeBytes { Array($0) })
    }
  }

  @Test func fortranOrderIsTurned() throws {
    // [[1, 2, 3], [4, 5, 6]] column by column
    let data = file("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", [1, 4, 2, 5, 3, 6], version: 2)
    #expect(try NPY.decode(data).withUnsafeBytes { Array($0) } == [1, 2, 3, 4, 5, 6])
  }

  @Test func eitherByteOrderIsRead() throws {
    let header = "{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }"
    #expect(try NPY.decode(file(header, [0x3F, 0x80, 0, 0, 0xC0, 0, 0, 0])).floats() == [1, -2])
    let integers = "{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }"
    #expect(try NPY.decode(file(integers, [1, 2, 0xFF, 0xFE])).int32s() == [258, -2])
  }

  @Test func whatIsNoArrayIsRefused() {
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }"
    let cases: [(Data, NPYError)] = [
      (Data("no array at all".utf8), .notNPY),
      (file(header, [1]), .damaged(reason: "its values take 1 bytes, expected 2")),
      (file(header, [1, 2], version: 9), .damaged(reason: "version 9 is unknown")),
      (file("{'descr': '<u8', 'shape': (0,)}", []), .elementType("<u8")),
      (file("{'descr': '>c8', 'shape': (0,)}", []), .elementType(">c8")),
      (file("{'shape': (1,)}", [0]), .damaged(reason: "its header has no descr or shape")),
      (
        file("{'descr': '|u1', 'shape': (9999999999, 9999999999)}", []),
        .damaged(reason: "its shape [9999999999, 9999999999] is impossible")
      ),
      (Data(file(header, []).prefix(20)), .damaged(reason: "its header is cut")),
    ]
    for (data, error) in cases { #expect(throws: error) { try NPY.decode(data) } }
  }
}
