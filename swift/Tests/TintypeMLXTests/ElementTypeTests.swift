import Testing
import TintypeMLX

@Suite struct ElementTypeTests {
  @Test(arguments: ElementType.allCases)
  func survivesTheABI(_ type: ElementType) {
    #expect(ElementType(abiValue: type.abiValue) == type)
  }

  @Test func unknownABIValueIsNil() {
    #expect(ElementType(abiValue: 0) == nil)
    #expect(ElementType(abiValue: 12) == nil)
  }
}
