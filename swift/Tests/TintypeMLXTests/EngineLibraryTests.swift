import CTintype
import Foundation
import TestSupport
import Testing

@testable import TintypeMLX

@Suite struct EngineSearchTests {
  private let name = EngineSearch.libraryName

  private func places(
    explicit: String? = nil, environment: String? = nil, image: String = "/c/d/image",
    executable: String = "/e/f/program", checkout: String? = nil
  ) -> [String] {
    EngineSearch.candidates(
      explicit: explicit, environment: environment, image: image, executable: executable, checkout: checkout)
  }

  @Test func aNamedPathIsTheOnlyPlace() {
    #expect(places(explicit: "/a/lib", environment: "/b/lib", checkout: "/c") == ["/a/lib"])
  }

  @Test func theEnvironmentComesNext() {
    #expect(places(environment: "/b/lib", checkout: "/c") == ["/b/lib"])
  }

  @Test func thenBesideTheImage() {
    #expect(
      places(environment: "", image: "/site/tintype/lib/libTintypeRuntime.so", executable: "/repo/out/tool")
        .filter { !$0.contains(".framework/") } == ["/site/tintype/lib/\(name)"])
  }

  /// Anybody may write to a folder above: only the checkout that the code comes from is searched.
  @Test func thenTheCheckoutOfWhatLiesInIt() {
    let own = "/repo/build/engine/\(name)"
    #expect(places(executable: "/repo/.build/debug/tool", checkout: "/repo").last == own)
    #expect(places(image: "/repo/.build/debug/lib.so", checkout: "/repo").last == own)
    #expect(!places(executable: "/opt/bin/tool", checkout: "/repo").contains(own))
    #expect(!places(executable: "/repo-of-others/tool", checkout: "/repo").contains(own))
    #expect(!places(executable: "/tmp/app/bin/tool").contains { $0.contains("build/engine") })
  }

  @Test func appsCarryTheEngineAsAFramework() {
    let framework = "TintypeEngine.framework/TintypeEngine"
    #expect(EngineSearch.frameworkPlaces(around: "/App.app").first == "/App.app/Frameworks/\(framework)")
    #expect(
      EngineSearch.frameworkPlaces(around: "/App.app/Contents/MacOS")
        .contains("/App.app/Contents/Frameworks/\(framework)"))
    #expect(
      EngineSearch.frameworkPlaces(around: "/App.app/Frameworks/Kit.framework")
        .contains("/App.app/Frameworks/\(framework)"))
  }
}

@Suite struct EngineLibraryTests {
  @Test func aMissingLibraryIsNamedWithTheRemedy() throws {
    let error = try #require(throws: EngineError.self) { try EngineLibrary.open(at: "/nowhere/engine.so") }
    #expect(error == .libraryNotFound(searched: ["/nowhere/engine.so"]))
    #expect(error.status == .unavailable)
    #expect(
      error.description == "the engine library was not found (looked for /nowhere/engine.so); embed it in the app as "
        + "docs/embedding.md says, or set TINTYPE_ENGINE_LIBRARY to its path")
    #expect(error.localizedDescription == error.reason)
    #expect(error.recoverySuggestion == error.remedy)
  }

  @Test func whatIsNoLibraryIsRefused() throws {
    let folder = try TemporaryFolder()
    let file = folder.url.appendingPathComponent("engine.so")
    try Data("no library".utf8).write(to: file)
    let error = try #require(throws: EngineError.self) { try EngineLibrary.open(at: file.path) }
    guard case .libraryNotLoadable(let path, let reason) = error else {
      Issue.record("unexpected \(error)")
      return
    }
    #expect(path.hasSuffix("engine.so"))
    #expect(!reason.isEmpty)
  }

  @Test func aTableOfAnotherVersionIsRefused() {
    var table = tt_api()
    table.abi_version = UInt32(TT_ABI_VERSION) + 1
    table.size = UInt32(MemoryLayout<tt_api>.size)
    #expect(
      throws: EngineError.libraryIncompatible(
        path: "engine.so", found: "version \(TT_ABI_VERSION + 1) with \(table.size) bytes of entries",
        expected: "version \(TT_ABI_VERSION) with \(table.size)")
    ) { try EngineLibrary.check(&table, of: "engine.so") }
  }

  @Test func aShortTableIsRefused() {
    var table = tt_api()
    table.abi_version = UInt32(TT_ABI_VERSION)
    table.size = 16
    #expect(throws: EngineError.self) { try EngineLibrary.check(&table, of: "engine.so") }
  }

  @Test func aTableWithHolesIsRefused() {
    var table = tt_api()
    table.abi_version = UInt32(TT_ABI_VERSION)
    table.size = UInt32(MemoryLayout<tt_api>.size)
    #expect(
      throws: EngineError.libraryIncompatible(
        path: "engine.so", found: "version \(TT_ABI_VERSION) with empty entries",
        expected: "version \(TT_ABI_VERSION)")
    ) { try EngineLibrary.check(&table, of: "engine.so") }
  }

  @Test func theEngineSaysWhatItIs() throws {
    let engine = try EngineLibrary.open()
    try engine.checkAvailability()
    let json = try #require(engine.descriptionJSON)
    let fields = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
    #expect(fields["name"] as? String == "mlx")
    #expect(try EngineLibrary.open() === engine)
  }
}
