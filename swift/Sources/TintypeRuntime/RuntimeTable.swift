import CTintype

/// The runtime's function table, or nil if the caller speaks another ABI version.
@_cdecl("tintype_coreml_api")
public func coreMLRuntimeTable(abiVersion: UInt32) -> UnsafePointer<tt_api>? {
  abiVersion == UInt32(TT_ABI_VERSION) ? table : nil
}

/// Made once and never changed or freed: callers keep the pointer.
nonisolated(unsafe) private let table: UnsafePointer<tt_api> = {
  let table = UnsafeMutablePointer<tt_api>.allocate(capacity: 1)
  table.initialize(
    to: tt_api(
      abi_version: UInt32(TT_ABI_VERSION),
      size: UInt32(MemoryLayout<tt_api>.size),
      name: UnsafePointer(copyToC("coreml")),
      describe_runtime: { copyToC(RuntimeDescription.json) },
      available: { error in attempt(error) { try runtime.checkAvailability() } },
      model_load: loadModel,
      model_free: { ModelHandle.release($0) },
      function_count: { ModelHandle.of($0)?.functions.count ?? 0 },
      function_name: { model, index in ModelHandle.of(model)?.function(at: index)?.name.pointer },
      feature_count: { model, function, kind in
        ModelHandle.of(model)?.features(ofFunction: function, kind: kind)?.count ?? 0
      },
      feature: describeFeature,
      model_metadata: { ModelHandle.of($0)?.model.metadataJSON.flatMap(copyToC) },
      predict: predict,
      result_count: { ResultHandle.of($0)?.outputs.count ?? 0 },
      result_tensor: describeResult,
      result_free: { ResultHandle.release($0) },
      string_free: { freeC($0) },
      state_new: newState,
      state_free: { StateHandle.release($0) },
      state_tensor: describeState,
      result_statistics: { ResultHandle.of($0)?.statisticsJSON.flatMap(copyToC) },
      compute_plan: planComputation,
      verdict_file: nameVerdictFile
    ))
  return UnsafePointer(table)
}()
