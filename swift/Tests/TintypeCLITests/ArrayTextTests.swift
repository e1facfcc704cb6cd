import Testing
import Tintype

@testable import TintypeCLI

@Suite struct ArrayTextTests {
  @Test func anAxisIsALevelOfBrackets() throws {
    let text = ArrayText(try Tensor(shape: [2, 1, 2], int32s: [1, -20, 3, 4]))
    #expect(text.lines == ["[[[  1 -20]]", " [[  3   4]]]"])
  }

  @Test func numbersAndEmptyOnesHaveNoLevels() throws {
    #expect(ArrayText(try Tensor(shape: [], floats: [0.1])).lines == ["0.1"])
    #expect(ArrayText(try Tensor(shape: [2, 0], floats: [])).lines == ["[]"])
  }

  @Test func rowsAreBrokenBeforeTheyAreTooWide() throws {
    let lines = ArrayText(try Tensor(shape: [40], int32s: (100..<140).map { Int32($0) })).lines
    #expect(lines.count == 3 && lines.allSatisfy { $0.count <= 76 })
    #expect(lines[0].hasPrefix("[100 101 ") && lines[1].hasPrefix(" 118 ") && lines[2].hasSuffix(" 139]"))
  }

  @Test func theMiddleOfLargeOnesIsLeftOut() throws {
    let tensor = try Tensor(shape: [100, 11], int32s: (0..<1100).map { Int32($0) })
    #expect(
      ArrayText(tensor).lines == [
        "[[   0    1    2 ...    8    9   10]", " [  11   12   13 ...   19   20   21]",
        " [  22   23   24 ...   30   31   32]", " ...", " [1067 1068 1069 ... 1075 1076 1077]",
        " [1078 1079 1080 ... 1086 1087 1088]", " [1089 1090 1091 ... 1097 1098 1099]]",
      ])
  }

  @Test func integersOfEveryWidthAreWhole() throws {
    let large = [Int64.max, Int64.min]
    let tensor = try large.withUnsafeBytes { try Tensor(shape: [2], elementType: .int64, bytes: $0) }
    #expect(ArrayText(tensor).lines == ["[ \(Int64.max) \(Int64.min)]"])
    let flags = try [UInt8(1), 0].withUnsafeBytes { try Tensor(shape: [2], elementType: .bool, bytes: $0) }
    #expect(ArrayText(flags).lines == ["[ true false]"])
  }
}
