// swift-tools-version: 6.0
import PackageDescription

// One package for the whole repository: SwiftPM resolves only root manifests. The engine is no link-time
// dependency: TintypeMLX opens libtintype_engine at run time (bridge/c/tintype.h), so nothing here needs unsafe flags.

// Core ML exists only on Apple's systems. Elsewhere a target of its name carries the part of its API that the runtime
// uses, run by the engine on the CPU, so that `import CoreML` resolves and predictions really happen. Core Video, whose
// pixel buffers Core ML's images are, likewise. A target of that name hides the system's, so it must not be declared for
// Apple's systems, and no condition keeps a declared target from being built: the manifest has to know. It asks the machine
// that builds; TINTYPE_PORTABLE_COREML=1 says, on a Mac, that the build is for Linux.
#if os(Linux)
  let buildsOnLinux = true
#else
  let buildsOnLinux = false
#endif
let isPortable = Context.environment["TINTYPE_PORTABLE_COREML"].map { $0 == "1" } ?? buildsOnLinux

let coreVideo: [Target.Dependency] = isPortable ? ["CoreVideo"] : []
let coreML: [Target.Dependency] = isPortable ? ["CoreML"] : []
let hashing: [Target.Dependency] = isPortable ? ["CSHA256"] : []
let coreMLTargets: [Target] = [
  // Apple's systems have CryptoKit.
  .target(name: "CSHA256", path: "swift/Sources/CSHA256"),
  .target(name: "CoreVideo", path: "swift/Sources/CoreVideo"),
  .testTarget(name: "CoreVideoTests", dependencies: ["CoreVideo"], path: "swift/Tests/CoreVideoTests"),
  .target(
    name: "CoreML", dependencies: ["TintypeMLX", "TintypePackages", "TintypeImages", "CoreVideo"],
    path: "swift/Sources/CoreML"),
  .testTarget(name: "CoreMLTests", dependencies: ["CoreML", "TestSupport"], path: "swift/Tests/CoreMLTests"),
]
let coreMLProducts: [Product] = [
  .library(name: "CoreML", targets: ["CoreML"]), .library(name: "CoreVideo", targets: ["CoreVideo"]),
]

let package = Package(
  name: "Tintype",
  platforms: [.macOS(.v13), .iOS(.v16), .tvOS(.v16), .visionOS(.v1)],
  products: [
    .library(name: "Tintype", targets: ["Tintype"]),
    .library(name: "TintypeMLX", targets: ["TintypeMLX"]),
    .library(name: "TintypeRuntime", type: .dynamic, targets: ["TintypeRuntime"]),
    // Installed as `tintype`; as a product it must not differ from `Tintype` by case alone, which disks of Macs ignore.
    .executable(name: "tintype-cli", targets: ["TintypeCLI"]),
  ] + (isPortable ? coreMLProducts : []),
  targets: [
    .systemLibrary(name: "CTintype", path: "bridge/c"),
    .target(name: "TintypeMLX", dependencies: ["CTintype"], path: "swift/Sources/TintypeMLX"),
    .target(name: "TintypePackages", dependencies: ["TintypeMLX"], path: "swift/Sources/TintypePackages"),
    .target(name: "TintypeImages", dependencies: ["TintypeMLX"] + coreVideo, path: "swift/Sources/TintypeImages"),
    .target(
      name: "TintypeBackends", dependencies: ["TintypeMLX", "TintypePackages", "TintypeImages"] + coreML + hashing,
      path: "swift/Sources/TintypeBackends"),
    .target(
      name: "TintypeRuntime", dependencies: ["CTintype", "TintypeBackends"], path: "swift/Sources/TintypeRuntime"),
    .target(name: "TintypeTokenizers", path: "swift/Sources/TintypeTokenizers"),
    .target(
      name: "Tintype", dependencies: ["CTintype", "TintypeBackends", "TintypePackages", "TintypeTokenizers"],
      path: "swift/Sources/Tintype"),
    .executableTarget(name: "TintypeCLI", dependencies: ["Tintype"], path: "swift/Sources/TintypeCLI"),

    // What the test targets share: fixtures, temporary folders.
    .target(name: "TestSupport", path: "swift/Tests/TestSupport"),
    .testTarget(
      name: "TintypeMLXTests", dependencies: ["TintypeMLX", "CTintype", "TestSupport"],
      path: "swift/Tests/TintypeMLXTests"),
    .testTarget(
      name: "TintypePackagesTests", dependencies: ["TintypePackages", "TestSupport"],
      path: "swift/Tests/TintypePackagesTests"),
    .testTarget(
      name: "TintypeImagesTests", dependencies: ["TintypeImages"], path: "swift/Tests/TintypeImagesTests"),
    .testTarget(
      name: "TintypeBackendsTests", dependencies: ["TintypeBackends", "TestSupport"] + coreML,
      path: "swift/Tests/TintypeBackendsTests"),
    // Code as apps have it, most of it in the language mode before strict concurrency: on Apple's systems against Core ML
    // itself, which the portable one is held to.
    .testTarget(
      name: "CoreMLConsumersTests", dependencies: ["TestSupport"] + coreML, path: "swift/Tests/CoreMLConsumersTests",
      swiftSettings: [.swiftLanguageMode(.v5)]),
    .testTarget(
      name: "TintypeRuntimeTests", dependencies: ["TintypeRuntime", "CTintype", "TestSupport"],
      path: "swift/Tests/TintypeRuntimeTests"),
    .testTarget(
      name: "TintypeTokenizersTests", dependencies: ["TintypeTokenizers", "TestSupport"],
      path: "swift/Tests/TintypeTokenizersTests"),
    .testTarget(
      name: "TintypeTests", dependencies: ["Tintype", "TestSupport"], path: "swift/Tests/TintypeTests"),
    .testTarget(
      name: "TintypeCLITests", dependencies: ["TintypeCLI", "TestSupport"], path: "swift/Tests/TintypeCLITests"),

    // Examples, so that they keep compiling; no product of an app's dependency.
    .executableTarget(name: "GeneratePicture", dependencies: ["Tintype"], path: "examples/swift/GeneratePicture"),
    .target(name: "PictureModel", dependencies: ["Tintype"], path: "examples/swift/PictureModel"),
    .executableTarget(
      name: "PictureApp", dependencies: ["PictureModel", "Tintype"], path: "examples/swift/PictureApp"),
    .testTarget(
      name: "PictureModelTests", dependencies: ["PictureModel", "Tintype"], path: "swift/Tests/PictureModelTests"),
  ] + (isPortable ? coreMLTargets : [])
)
