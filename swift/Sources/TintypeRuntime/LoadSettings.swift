import CTintype
import TintypeBackends

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What `tt_load_options` ask for.
struct LoadSettings {
  private(set) var backend = runtime
  private(set) var units = ComputeUnits.all

  /// - Parameters:
  ///   - options: NULL: the defaults.
  ///   - entry: the function's name, for errors.
  init(_ options: UnsafePointer<tt_load_options>?, of entry: String) throws {
    guard let options else { return }
    let expected = MemoryLayout<tt_load_options>.size
    guard options.pointee.size == expected else {
      throw MisuseError(
        "\(entry): options.size is \(options.pointee.size), expected \(expected); set it to sizeof(tt_load_options)")
    }
    switch Int(options.pointee.units) {
    case Int(TT_UNITS_ALL): units = .all
    case Int(TT_UNITS_CPU_ONLY): units = .cpuOnly
    case Int(TT_UNITS_CPU_AND_GPU): units = .cpuAndGPU
    case Int(TT_UNITS_CPU_AND_NEURAL_ENGINE): units = .cpuAndNeuralEngine
    default: throw MisuseError("\(entry): options.units is \(options.pointee.units), expected 0 to 3")
    }
    if let folder = options.pointee.cache_folder {
      backend = CoreMLBackend(cacheFolder: URL(fileURLWithPath: String(cString: folder)))
    }
  }
}
