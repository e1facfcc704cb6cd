#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Where the engine library may lie. The first place that has it wins:
///
/// 1. the path that the caller names: it is the only place then;
/// 2. the path in the environment variable `TINTYPE_ENGINE_LIBRARY`: likewise;
/// 3. beside the image that holds this code (in Python's wheel: `tintype/lib/`) and in `../lib` of it;
/// 4. on Apple's systems, `TintypeEngine.framework` in the app's Frameworks folder (scripts/build-xcframework.sh);
/// 5. in debug builds, `build/engine/` of the checkout that this code was compiled in (`make env` puts it there), if the
///    image or the executable lies in that checkout. No other folder above them is searched: in a folder that several
///    users write to, anybody could put a library there.
public enum EngineSearch {
  /// The variable that names the library's file.
  public static let environmentVariable = "TINTYPE_ENGINE_LIBRARY"

  #if os(Linux)
    /// The library's file name on this system.
    public static let libraryName = "libtintype_engine.so"
  #else
    /// The library's file name on this system.
    public static let libraryName = "libtintype_engine.dylib"
  #endif

  /// All places, in the order in which they are tried.
  static func candidates(
    explicit: String?, environment: String?, image: String?, executable: String?, checkout: String?
  ) -> [String] {
    if let explicit { return [explicit] }
    if let environment, !environment.isEmpty { return [environment] }
    let folders = [image, executable].compactMap { $0.map(folder(of:)) }
    let beside = folders.prefix(1).flatMap { ["\($0)/\(libraryName)", "\(folder(of: $0))/lib/\(libraryName)"] }
    #if os(Linux)
      let frameworks: [String] = []
    #else
      let frameworks = folders.flatMap(frameworkPlaces)
    #endif
    let development = [checkout].compactMap { $0 }.filter { root in folders.contains { $0.hasPrefix("\(root)/") } }
      .map { "\($0)/build/engine/\(libraryName)" }
    var seen = Set<String>()
    return (beside + frameworks + development).filter { seen.insert($0).inserted }
  }

  /// Where an app has its frameworks: iOS's beside the executable, macOS's one folder up, and for code that is a
  /// framework itself, beside that.
  static func frameworkPlaces(around folder: String) -> [String] {
    let framework = "TintypeEngine.framework/TintypeEngine"
    let parent = self.folder(of: folder)
    return ["\(folder)/Frameworks/\(framework)", "\(parent)/Frameworks/\(framework)", "\(parent)/\(framework)"]
  }

  /// The library's real path (its own run path is relative to itself), or nil and the places looked at.
  static func find(explicit: String?) -> (found: String?, searched: [String]) {
    let places = candidates(
      explicit: explicit, environment: getenv(environmentVariable).map { String(cString: $0) },
      image: imagePath(), executable: executablePath(), checkout: checkout)
    for place in places {
      if let real = realPath(place) { return (real, places) }
    }
    return (nil, places)
  }

  /// The repository's folder when this file was compiled; nil where it is not there any more, and in release builds,
  /// which must not carry the path of a developer's folder.
  private static var checkout: String? {
    #if DEBUG
      // <root>/swift/Sources/TintypeMLX/Engine/EngineSearch.swift
      return realPath((0..<5).reduce(#filePath) { path, _ in folder(of: path) })
    #else
      return nil
    #endif
  }

  static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The file of the image (executable or shared library) that this code was linked into.
  private static func imagePath() -> String? {
    #if os(Linux)
      // glibc declares dladdr only for _GNU_SOURCE, which Swift's importer does not set; it is always there.
      typealias Dladdr = @convention(c) (UnsafeRawPointer, UnsafeMutableRawPointer) -> Int32
      guard let symbol = dlsym(nil, "dladdr") else { return nil }
      let dladdr = unsafeBitCast(symbol, to: Dladdr.self)
      var info: (file: UnsafePointer<CChar>?, base: UInt, symbol: UInt, address: UInt) = (nil, 0, 0, 0)
      let status = withUnsafeMutableBytes(of: &info) { bytes in
        bytes.baseAddress.map { dladdr(#dsohandle, $0) } ?? 0
      }
      guard status != 0, let name = info.file else { return nil }
    #else
      var info = Dl_info()
      guard dladdr(#dsohandle, &info) != 0, let name = info.dli_fname else { return nil }
    #endif
    return realPath(String(cString: name))
  }

  private static func executablePath() -> String? {
    #if os(Linux)
      return realPath("/proc/self/exe")
    #else
      return CommandLine.arguments.first.flatMap(realPath)
    #endif
  }

  private static func realPath(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
