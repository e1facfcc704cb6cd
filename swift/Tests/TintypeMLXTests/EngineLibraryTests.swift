import CTintype
import Foundation
import TestSupport
import Testing

@testable import TintypeMLX

@Suite struct EngineSearchTests {
  private let name = EngineSearch.libraryName

  @Test func aNamedPathIsTheOnlyPlace() {
    let places = EngineSearch.candidates(
      explicit: "/a/lib", environment: "/b/lib", image: "/c/d/image", executable: "/e/f/program")
    #expect(places == ["/a/lib"])
  }

  @Test func theEnvironmentComesNext() {
    let places = EngineSearch.candidates(
      explicit: nil, environment: "/b/lib", image: "/c/d/image", executable: "/e/f/program")
    #expect(places == ["/b/lib"])
  }

  @Test func thenBesideTheImageAndAboveTheExecutable() {
    let places = EngineSearch.candidates(
      explicit: nil, environment: "", image: "/site/tintype/lib/libTintypeRuntime.so", executable: "/repo/out/tool")
    #expect(
      places
        == [
          "/site/tintype/lib/\(name)", "/site/tintype/lib/\(name)", "/site/tintype/lib/build/engine/\(name)",
          "/site/tintype/build/engine/\(name)", "/site/build/engine/\(name)", "/repo/out/build/engine/\(name)",
          "/repo/build/engine/\(name)",
        ].reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } })
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

  @Test func summaryIsShort() {
    let places = EngineSearch.candidates(explicit: nil, environment: nil, image: "/a/b/c/d", executable: "/x/y/z")
    #expect(
      EngineSearch.summary(of: places) == [
        "/a/b/c/\(name)", "/a/b/lib/\(name)", "/a/b/c/build/engine/\(name) and the same in the folders above",
      ])
  }
}

@Suite struct EngineLibraryTests {
  @Test func aMissingLibraryIsNamedWithTheRemedy() throws {
    let error = try #require(throws: EngineError.self) { try EngineLibrary.open(at: "/nowhere/engine.so") }
    #expect(error == .libraryNotFound(searched: ["/nowhere/engine.so"]))
    #expect(error.status == .unavailable)
    #expect(
      error.description == "the engine library was not found (looked for /nowhere/engine.so); build it with "
        + "`make env` or `pip install .`, or set TINTYPE_ENGINE_LIBRARY to its path")
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
