import CoreVideo
import TintypeMLX

/// Why a pixel buffer could not be read, written or made.
package enum PixelBufferError: Error, Equatable {
  /// The pixels are of another kind than the picture's.
  case format(actual: String, expected: [String])
  /// The buffer has another size than the picture.
  case size(actual: String, expected: String)
  /// The system gave no memory, or did not lend it.
  case system(call: String, code: CVReturn)
}

extension PixelBufferError: ExplainedError {
  package var explanation: (problem: String, remedy: String?) {
    switch self {
    case .format(let actual, let expected):
      ("a pixel buffer has the pixel format \(actual), expected \(expected.joined(separator: " or "))", nil)
    case .size(let actual, let expected): ("a pixel buffer has \(actual) pixels, expected \(expected)", nil)
    case .system(let call, let code): ("\(call) failed with code \(code)", nil)
    }
  }
}

/// A pixel format's four characters, or its number where it has none.
package func pixelFormatName(_ format: OSType) -> String {
  let bytes = stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: format >> OSType($0)) }
  guard bytes.allSatisfy({ (0x20...0x7e).contains($0) }) else { return "\(format)" }
  return "'\(String(decoding: bytes, as: UTF8.self))'"
}
