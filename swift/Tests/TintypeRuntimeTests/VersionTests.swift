import CTintype
import Testing

@testable import TintypeRuntime

@Test func versionIsTheHeaders() {
  #expect(runtimeVersion == TT_VERSION)
}
