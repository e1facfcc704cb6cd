import Foundation
import TestSupport
import Testing
import TintypeMLX

@testable import TintypePackages

@Suite struct FlexibleShapesTests {
  private func entry(_ package: String, _ feature: String) throws -> FlexibleShapes.Entry? {
    let bytes = try Data(contentsOf: PackageFiles(package: Fixture.package(package)).specificationURL())
    return try FlexibleShapes(parsing: [UInt8](bytes)).entry(function: "main", feature: feature)
  }

  @Test func readsRanges() throws {
    let entry = try #require(try entry("ranges", "x"))
    #expect(entry.defaultShape == [2, 3])
    #expect(entry.limits == .ranges([.init(lower: 1, upper: 4), .init(lower: 3, upper: 3)]))
    #expect(entry.allows([1, 3]) && entry.allows([4, 3]))
    #expect(!entry.allows([5, 3]) && !entry.allows([2, 2]) && !entry.allows([2]))
  }

  @Test func readsEnumeratedShapes() throws {
    let entry = try #require(try entry("enumerated", "x"))
    #expect(entry.defaultShape == [2, 3])
    #expect(entry.allows([4, 3]) && !entry.allows([3, 3]))
  }

  @Test func fixedShapesHaveNoLimits() throws {
    #expect(try entry("linear", "x")?.limits == nil)
    #expect(try entry("linear", "absent") == nil)
  }

  @Test func readsImages() throws {
    let range = try #require(try entry("image_range", "x")?.image)
    #expect(range.colorLayout == .rgb && range.defaultSize == .init(width: 6, height: 4))
    #expect(range.width == ExtentRange(lower: 3, upper: 9) && range.height == ExtentRange(lower: 2, upper: 8))
    #expect(range.shape == [-1, -1, 3] && range.sizeText == "3 to 9 × 2 to 8")
    let sizes = try #require(try entry("image_sizes", "x")?.image)
    #expect(sizes.allows(.init(width: 3, height: 2)) && !sizes.allows(.init(width: 3, height: 4)))
    #expect(sizes.shape == [-1, -1, 3])
    #expect(try entry("image_half", "x")?.image?.shape == [4, 6])
    let specification = try PackageFiles(package: Fixture.package("image_bgr")).specification()
    #expect(specification.description.inputs.map(\.elementType) == [.uint8])
    #expect(specification.description.outputs.first?.image?.colorLayout == .bgr)
  }

  @Test func noUpperBoundIsNoLimit() {
    #expect(ExtentRange(lower: 2, upper: nil).contains(1_000_000))
    #expect(!ExtentRange(lower: 2, upper: nil).contains(1))
  }

  @Test func malformedBytesThrow() {
    #expect(throws: WireReader.Malformed.self) { try FlexibleShapes(parsing: [0x12, 0x05, 0x01]) }
  }
}
