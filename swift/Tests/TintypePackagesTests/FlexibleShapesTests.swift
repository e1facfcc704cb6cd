import Foundation
import TestSupport
import Testing

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

  @Test func noUpperBoundIsNoLimit() {
    #expect(FlexibleShapes.Range(lower: 2, upper: nil).contains(1_000_000))
    #expect(!FlexibleShapes.Range(lower: 2, upper: nil).contains(1))
  }

  @Test func malformedBytesThrow() {
    #expect(throws: WireReader.Malformed.self) { try FlexibleShapes(parsing: [0x12, 0x05, 0x01]) }
  }
}
