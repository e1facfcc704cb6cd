import Foundation
import TestSupport
import Testing

@testable import Tintype

@Suite struct SafetensorsTests {
  @Test(arguments: ElementType.allCases) func oneTensorIsReadAsItIsWritten(_ type: ElementType) throws {
    let folder = try TemporaryFolder()
    let tensor = try Tensor(shape: [2, 1, 3], elementType: type) { bytes in
      for index in bytes.indices { bytes[index] = UInt8(index % 2) }
    }
    let (file, data) = (folder.url.appendingPathComponent("a.safetensors"), try Safetensors.encode("latents", tensor))
    try data.write(to: file)
    let back = try Safetensors(file)("latents")
    #expect(back.shape == tensor.shape && back.elementType == type)
    #expect(back.withUnsafeBytes { Array($0) } == tensor.withUnsafeBytes { Array($0) })
    #expect((data.count - tensor.byteCount) % 8 == 0)
  }
}
