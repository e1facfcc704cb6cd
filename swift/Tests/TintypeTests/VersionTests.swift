import Testing
import Tintype

@Test func versionHasThreeParts() {
  #expect(tintypeVersion.split(separator: ".").count == 3)
}
