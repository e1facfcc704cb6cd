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
  file?.pointee = nil
  return attempt(error) {
    guard let file else { throw MisuseError("verdict_file: `file` is NULL; pass the address of a char pointer") }
    guard let path else { throw MisuseError("verdict_file: `path` is NULL; pass the path of an .mlpackage") }
    let settings = try LoadSettings(options, of: "verdict_file")
    let package = URL(fileURLWithPath: String(cString: path))
    guard let place = settings.backend.verdictFile(of: package, units: settings.units) else {
      throw BackendError.failed(
        backend: .coreml, kind: .io,
        message: "the model package \(package.path) cannot be read; check the path, or convert the model again")
    }
    file.pointee = copyToC(place.path)
  }
}
