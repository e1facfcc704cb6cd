import Foundation
import TestSupport
import Testing
import TintypeMLX

@testable import TintypePackages

@Suite struct PackageSpecificationTests {
  private func specification(_ name: String) throws -> PackageSpecification {
    try PackageFiles(package: Fixture.package(name)).specification()
  }

  @Test func readsAPackageWithOneFunction() throws {
    let specification = try specification("linear")
    #expect(specification.version == 7)
    #expect(specification.description.functions.map(\.name) == ["main"])
    #expect(
      specification.description.inputs == [FeatureDescription(name: "x", elementType: .float32, shape: [2, 3])])
    #expect(specification.metadata["author"] == "Tintype")
    #expect(specification.operations["main"]?["linear"] == 1)
    #expect(PackageFiles(package: Fixture.package("linear")).weightBytes() == 176)
  }

  @Test func keepsThePackagesOrder() throws {
    #expect(try specification("multi_output").description.outputs.map(\.name) == ["negated", "squared", "total"])
  }

  @Test func readsSeveralFunctions() throws {
    let specification = try specification("two_functions")
    #expect(specification.description.functions.map(\.name) == ["twice", "thrice"])
    #expect(specification.description.function(named: nil)?.name == "twice")
    #expect(specification.operations.keys.sorted() == ["thrice", "twice"])
  }

  @Test(arguments: ["linear", "half", "integer", "multi_output", "two_functions", "texts", "integers", "colors"])
  func saysWhatTheEngineSays(_ name: String) throws {
    let model = try EngineModel(path: Fixture.package(name).path, library: EngineLibrary.open())
    #expect(try specification(name).description == model.modelDescription)
  }

  @Test func readsClassifiers() throws {
    let texts = try specification("texts")
    #expect(
      texts.classifiers == [
        "main": ClassifierDescription(
          label: "classLabel", probabilities: "classLabel_probs", classes: [.text("cat"), .text("dog"), .text("owl")])
      ])
    #expect(try specification("integers").classifiers["main"]?.classes == [.integer(70), .integer(40), .integer(90)])
    #expect(try specification("colors").classifiers["main"]?.label == "color")
    #expect(try specification("linear").classifiers.isEmpty)
  }

  /// Malformed messages: they must throw, never trap.
  @Test(
    arguments: [
      [0x08],  // field 1, varint, then nothing
      [0x12, 0x05, 0x01],  // field 2, five bytes announced, one there
      [0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],  // a length of 2^64 - 1
      [0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],  // a varint of eleven bytes
      [0x0b],  // wire type 3 (groups) is not of proto3
      [0x09, 0x00],  // a fixed64 of one byte
      [0x12, 0x02, 0x0a, 0x07],  // a feature that ends inside of its own length
    ] as [[UInt8]])
  func malformedBytesThrow(_ bytes: [UInt8]) {
    #expect(throws: WireReader.Malformed.self) { try PackageSpecification(parsing: bytes) }
  }

  @Test func endlessNestingThrows() {
    // Block → operation → block …, deeper than any model. Each level wraps the last in `operations` and `blocks`.
    var block: [UInt8] = []
    for _ in 0..<40 { block = wireField(3, wireField(4, block)) }
    let function = wireField(3, wireField(1, "CoreML8") + wireField(2, block))
    let program = wireField(2, wireField(1, "main") + wireField(2, function))
    #expect(throws: WireReader.Malformed.self) { try PackageSpecification(parsing: wireField(502, program)) }
  }

  @Test func flexibleShapesAreMarked() throws {
    // One input "x": float32, shape [1, 4], the first extent from 1 to 3, the second 4 or more.
    let ranges =
      wireField(1, [0x08, 1, 0x10, 3]) + wireField(1, [0x08, 4, 0x10] + [UInt8](repeating: 255, count: 9) + [1])
    let array = wireField(1, [1, 4]) + [0x10, 0xa0, 0x80, 0x04] + wireField(31, ranges)
    let feature = wireField(1, "x") + wireField(3, wireField(5, array))
    let specification = try PackageSpecification(parsing: wireField(2, wireField(1, feature)))
    let limits = AllowedShapes.ranges([.init(lower: 1, upper: 3), .init(lower: 4, upper: nil)])
    #expect(
      specification.description.inputs == [
        FeatureDescription(
          name: "x", elementType: .float32, shape: [-1, -1], defaultShape: [1, 4], allowedShapes: limits)
      ])
    #expect(limits.text == "[1 to 3, 4 or more]")
  }

  @Test func limitsThatListNothingAreNone() throws {
    let array = wireField(1, [1, 4]) + [0x10, 0xa0, 0x80, 0x04] + wireField(31, []) + wireField(21, [])
    let feature = wireField(1, "x") + wireField(3, wireField(5, array))
    let specification = try PackageSpecification(parsing: wireField(2, wireField(1, feature)))
    #expect(specification.description.inputs == [FeatureDescription(name: "x", elementType: .float32, shape: [1, 4])])
  }

  /// Core ML has no scalars: packages leave out the shapes of outputs that they do not know.
  @Test func shapesThatAreLeftOutAreUnknown() throws {
    let array: [UInt8] = [0x10, 0xa0, 0x80, 0x04]
    let feature = wireField(1, "y") + wireField(3, wireField(5, array))
    let specification = try PackageSpecification(parsing: wireField(2, wireField(10, feature)))
    #expect(specification.description.outputs == [FeatureDescription(name: "y", elementType: .float32, shape: nil)])
  }
}
