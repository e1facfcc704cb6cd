import CTintype

/// The version that `describe_runtime` reports.
let runtimeVersion = TT_VERSION
