import Testing

@testable import TintypeCLI

@Test func mainIsTheEntryPoint() {
  #expect(String(describing: Main.self) == "Main")
}
