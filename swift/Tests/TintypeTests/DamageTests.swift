import Foundation
import TestSupport
import Testing

@testable import Tintype

/// A bundle with one damaged file: the error names the file, or the package or tokenizer that it belongs to.
@Suite struct DamageTests {
  enum Damage: CaseIterable {
    case missing, empty, half

    func apply(_ content: Data, to file: URL) throws {
      switch self {
      case .missing: try FileManager.default.removeItem(at: file)
      case .empty: try Data().write(to: file)
      case .half: try content.prefix(content.count / 2).write(to: file)
      }
    }
  }

  /// Draws with every file of the bundle, the encoder's included.
  private func draw(_ bundle: URL) async throws {
    let pipeline = try TextToImagePipeline(bundleAt: bundle)
    let size = pipeline.bundle.descriptor.size
    let bytes = [UInt8](repeating: 128, count: 3 * size.width * size.height)
    let picture = try #require(RGBImage(width: size.width, height: size.height, bytes: bytes))
    _ = try await pipeline.generate(
      GenerationRequest(
        "a red circle", steps: 1, guidanceScale: 1, seed: 0, source: ImageSource(picture), backend: .all(.mlx)))
  }

  @Test(arguments: Damage.allCases) func everyFileIsMissed(_ damage: Damage) async throws {
    let folder = try TemporaryFolder()
    let bundle = folder.url.appendingPathComponent("bundle")
    try FileManager.default.copyItem(at: try TestBundles.url("sd3-medium-tiny-float16"), to: bundle)
    let files = try FileManager.default.subpathsOfDirectory(atPath: bundle.path).filter { path in
      var isFolder: ObjCBool = false
      let file = bundle.appendingPathComponent(path).path
      return FileManager.default.fileExists(atPath: file, isDirectory: &isFolder) && !isFolder.boolValue
    }
    #expect(files.count > 20)
    // One file of each kind is enough where every file of it is read by the same code.
    let kinds = ["bundle.json", "tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer_3/tokenizer.json"]
    for path in files.sorted() where damage == .half || kinds.contains(path) || path.hasPrefix("text_encoder.") {
      let file = bundle.appendingPathComponent(path)
      let content = try Data(contentsOf: file)
      try damage.apply(content, to: file)
      let owner = path.split(separator: "/").first.map(String.init) ?? path
      let error = await #expect(throws: (any Error).self, "\(path), \(damage)") { try await draw(bundle) }
      let text = error.map { "\($0)" } ?? ""
      #expect(text.contains(file.lastPathComponent) || text.contains(owner), "\(path), \(damage): \(text)")
      #expect(!(error is DecodingError) && !(error is CocoaError), "\(path), \(damage): \(text)")
      try content.write(to: file)
    }
    // And whole again, it draws.
    try await draw(bundle)
  }
}
