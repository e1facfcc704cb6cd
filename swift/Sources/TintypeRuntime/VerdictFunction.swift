import CTintype
import TintypeBackends

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Where it is kept that Core ML could not run a package, for a caller who falls back by itself.
func nameVerdictFile(
  path: UnsafePointer<CChar>?, options: UnsafePointer<tt_load_options>?,
  file: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, error: ErrorSlot
) -> tt_status {
  reportText("verdict_file", on: path, options, in: file, named: "file", error) { package, settings in
    guard let place = settings.backend.verdictFile(of: package, units: settings.units) else {
      throw BackendError.failed(
        backend: .coreml, kind: .io,
        message: "the model package \(package.path) cannot be read; check the path, or convert the model again")
    }
    return place.path
  }
}
