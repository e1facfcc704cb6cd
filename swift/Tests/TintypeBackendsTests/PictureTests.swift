import Foundation
import TestSupport
import Testing

@testable import TintypeBackends

/// Models with images, by both backends: pictures are tensors on this side of them.
@Suite struct PictureTests {
  private static let cache = TemporaryFolder.shared("coreml")

  private func load(_ name: String, _ kind: BackendKind) throws -> any LoadedModel {
    let backend: any Backend = kind == .mlx ? MLXBackend() : CoreMLBackend(cacheFolder: Self.cache)
    return try backend.load(Fixture.package(name), units: .cpuOnly)
  }

  @Test(arguments: BackendKind.allCases)
  func picturesGoThrough(_ kind: BackendKind) throws {
    let model = try load("image_bgr", kind)
    let input = try #require(model.modelDescription.inputs.first)
    #expect(input.elementType == .uint8 && input.shape == [4, 6, 3] && input.image?.colorLayout == .bgr)
    let picture = try Tensor(shape: [4, 6, 3], elementType: .uint8) { bytes in
      for index in bytes.indices { bytes[index] = UInt8(2 * index) }
    }
    let output = try #require(try model.predict(["x": picture])["y"])
    #expect(output.shape == [4, 6, 3] && output.elementType == .uint8)
    // The program's channel 0, which is blue, is halved.
    #expect(output.withUnsafeBytes { Array($0.prefix(6)) } == [0, 2, 2, 6, 8, 5])
  }

  @Test(arguments: BackendKind.allCases)
  func otherSizesAreRefused(_ kind: BackendKind) throws {
    let model = try load("image_sizes", kind)
    #expect(model.modelDescription.inputs.first?.shape == [-1, -1, 3])
    let error = try #require(throws: BackendError.self) {
      try model.predict(["x": Tensor.zeros(shape: [2, 6, 3], elementType: .uint8)])
    }
    #expect(error.kind == .invalidArgument)
    if kind == .coreml {
      #expect(
        error.description
          == "input \"x\" is a picture of 6 × 2 pixels, the model takes 6 × 4 or 3 × 2; scale the picture")
    }
  }
}
