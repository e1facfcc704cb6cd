import Foundation
import Tintype

/// Converted bundles: `make bundles` writes them, the environment variable TINTYPE_TEST_BUNDLES names their folder.
enum TestBundles {
  struct Missing: Error, CustomStringConvertible {
    let path: String
    var description: String { "there is no test bundle at \(path): run `make bundles`, or set TINTYPE_TEST_BUNDLES" }
  }

  static func url(_ name: String) throws -> URL {
    let folder =
      ProcessInfo.processInfo.environment["TINTYPE_TEST_BUNDLES"].map { URL(fileURLWithPath: $0) }
      ?? packageRoot().appendingPathComponent("build/test-bundles")
    let bundle = folder.appendingPathComponent(name)
    guard FileManager.default.fileExists(atPath: bundle.appendingPathComponent("bundle.json").path) else {
      throw Missing(path: bundle.path)
    }
    return bundle
  }

  static func pipeline(_ name: String) throws -> TextToImagePipeline {
    try TextToImagePipeline(bundleAt: url(name))
  }

  private static func packageRoot() -> URL {
    var folder = URL(fileURLWithPath: #filePath)
    while folder.path != "/" {
      folder.deleteLastPathComponent()
      if FileManager.default.fileExists(atPath: folder.appendingPathComponent("Package.swift").path) { break }
    }
    return folder
  }
}

/// Differences of two tensors.
struct Difference: CustomStringConvertible {
  /// The largest difference, relative to the largest value of the reference.
  let relative: Double
  /// 20·log₁₀(range / root mean square error), range = largest − smallest value of the reference.
  let psnr: Double

  init(_ ours: Tensor, _ reference: Tensor) {
    guard ours.shape == reference.shape else {
      (relative, psnr) = (.infinity, -.infinity)
      return
    }
    let (a, b) = (ours.doubles(), reference.doubles())
    let errors = zip(a, b).map { $0 - $1 }
    let largest = b.reduce(0) { max($0, abs($1)) }
    relative = errors.reduce(0) { max($0, abs($1)) } / max(largest, .leastNormalMagnitude)
    let range = (b.max() ?? 0) - (b.min() ?? 0)
    let square = errors.reduce(0) { $0 + $1 * $1 } / Double(max(1, errors.count))
    psnr = square == 0 ? .infinity : 20 * log10(range / square.squareRoot())
  }

  var description: String { "relative \(relative), PSNR \(psnr) dB" }
}

extension Tensor {
  /// Row `index` of the first axis, which stays as an axis of length 1.
  func row(_ index: Int) throws -> Tensor {
    let size = count / shape[0]
    let values = Array(floats()[index * size..<(index + 1) * size])
    return try Tensor(shape: [1] + shape.dropFirst(), floats: values)
  }
}
