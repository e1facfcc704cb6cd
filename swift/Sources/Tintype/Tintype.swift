import CTintype
@_exported import TintypeBackends

/// The package's version.
public let tintypeVersion = TT_VERSION
