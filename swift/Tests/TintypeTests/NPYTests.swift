import Foundation
import Testing
import Tintype

@Suite struct NPYTests {
  @Test func headerIsPaddedAndDescribesTheValues() throws {
    let data = NPY.encode(try Tensor(shape: [2, 1], floats: [1.5, -2]))
    let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }"
    #expect(data.count == 128 + 8)
    #expect([UInt8](data.prefix(10)) == [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0, 118, 0])
    #expect(String(decoding: data[10..<10 + text.utf8.count], as: UTF8.self) == text)
    #expect(data[127] == 10)
    #expect(data.suffix(8).elementsEqual([0, 0, 0xC0, 0x3F, 0, 0, 0, 0xC0]))
  }

  @Test func oneDimensionHasItsComma() throws {
    #expect(String(decoding: NPY.encode(try Tensor(shape: [1], int32s: [7]))[10...], as: UTF8.self).contains("(1,)"))
  }
}
