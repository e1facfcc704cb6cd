import CTintype
@_exported import TintypeBackends
@_exported import TintypeTokenizers

/// The package's version.
public let tintypeVersion = TT_VERSION
