import CTintype
import TintypeBackends

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

// The entries of the table. A Swift trap would end the caller's process, so every argument is checked here, before
// anything subscripts, converts or dereferences it.

func loadModel(
  path: UnsafePointer<CChar>?, options: UnsafePointer<tt_load_options>?,
  model: UnsafeMutablePointer<OpaquePointer?>?, error: ErrorSlot
) -> tt_status {
  model?.pointee = nil
  return attempt(error) {
    guard let model else { throw MisuseError("model_load: `model` is NULL; pass the address of a tt_model pointer") }
    guard let path else { throw MisuseError("model_load: `path` is NULL; pass the path of an .mlpackage") }
    let settings = try LoadSettings(options, of: "model_load")
    let package = URL(fileURLWithPath: String(cString: path))
    let loaded = try settings.backend.load(package, units: settings.units)
    // Callers that give a load so much time count on what it says.
    try loaded.prepare(function: nil)
    model.pointee = ModelHandle(loaded).retained()
  }
}

/// An entry that says something of a package: what `body` makes of it becomes the caller's, in `slot`.
func reportText(
  _ entry: String, on path: UnsafePointer<CChar>?, _ options: UnsafePointer<tt_load_options>?,
  in slot: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, named name: String, _ error: ErrorSlot,
  _ body: (URL, LoadSettings) throws -> String
) -> tt_status {
  slot?.pointee = nil
  return attempt(error) {
    guard let slot else { throw MisuseError("\(entry): `\(name)` is NULL; pass the address of a char pointer") }
    guard let path else { throw MisuseError("\(entry): `path` is NULL; pass the path of an .mlpackage") }
    let settings = try LoadSettings(options, of: entry)
    slot.pointee = copyToC(try body(URL(fileURLWithPath: String(cString: path)), settings))
  }
}

func describeFeature(
  model: OpaquePointer?, function: UnsafePointer<CChar>?, kind: tt_feature_kind, index: Int,
  feature: UnsafeMutablePointer<tt_feature>?, error: ErrorSlot
) -> tt_status {
  attempt(error) {
    guard let handle = ModelHandle.of(model) else { throw MisuseError("feature: `model` is NULL") }
    guard let feature else { throw MisuseError("feature: `feature` is NULL; pass the address of a tt_feature") }
    guard handle.function(named: function) != nil else {
      throw BackendError.unknownFunction(
        name: function.map { String(cString: $0) } ?? "", known: handle.functions.map(\.description.name))
    }
    guard let features = handle.features(ofFunction: function, kind: kind) else {
      throw MisuseError("feature: kind \(kind) is unknown, expected 0 (input), 1 (output) or 2 (state)")
    }
    guard features.indices.contains(index) else {
      throw MisuseError("feature: index \(index) is out of range, there are \(features.count)")
    }
    let (name, description) = (features[index].name, features[index].description)
    var result = tt_feature()
    result.name = name.pointer
    result.dtype = description.elementType.abiValue
    result.optional = description.isOptional ? 1 : 0
    description.image?.store(in: &result)
    if let shape = description.shape {
      guard shape.count <= Int(TT_MAX_RANK) else {
        throw BackendError.failed(
          backend: .coreml, kind: .unsupported,
          message: "\"\(description.name)\" has rank \(shape.count), at most \(TT_MAX_RANK) is possible")
      }
      result.rank = Int32(shape.count)
      shape.store(in: &result.shape)
    } else {
      result.rank = -1
    }
    feature.pointee = result
  }
}

func predict(
  model: OpaquePointer?, options: UnsafePointer<tt_predict_options>?, inputs: UnsafePointer<tt_tensor>?,
  count: Int, result: UnsafeMutablePointer<OpaquePointer?>?, error: ErrorSlot
) -> tt_status {
  result?.pointee = nil
  return attempt(error) {
    guard let handle = ModelHandle.of(model) else { throw MisuseError("predict: `model` is NULL") }
    guard let result else { throw MisuseError("predict: `result` is NULL; pass the address of a tt_result pointer") }
    var functionName: UnsafePointer<CChar>?
    var prediction = PredictionOptions()
    var state: StateHandle?
    var collects = false
    if let options {
      let expected = MemoryLayout<tt_predict_options>.size
      guard options.pointee.size == expected else {
        throw MisuseError(
          "predict: options.size is \(options.pointee.size), expected \(expected); set it to sizeof(tt_predict_options)"
        )
      }
      functionName = options.pointee.function
      state = StateHandle.of(options.pointee.state)
      collects = options.pointee.collect_statistics != 0
      if let progress = options.pointee.progress {
        // Called on this thread, while the caller waits.
        nonisolated(unsafe) let context = options.pointee.progress_context
        prediction.progress = { if progress(context, $0) != 0 { throw CancellationError() } }
      }
    }
    guard let function = handle.function(named: functionName) else {
      throw BackendError.unknownFunction(
        name: functionName.map { String(cString: $0) } ?? "", known: handle.functions.map(\.description.name))
    }
    guard inputs != nil || count == 0 else {
      throw MisuseError("predict: `inputs` is NULL, but their count is \(count)")
    }
    guard count >= 0, count <= 4096 else { throw MisuseError("predict: \(count) inputs, at most 4096 are possible") }
    let tensors = try readInputs(UnsafeBufferPointer(start: inputs, count: count), of: function.description)
    prediction.function = function.description.name
    let clock = ContinuousClock()
    let start = clock.now
    let outputs = try StateHandle.using(state, of: handle) {
      prediction.state = $0
      return try handle.model.predict(tensors, options: prediction)
    }
    let seconds = collects ? (clock.now - start).seconds : nil
    let ordered = try function.outputs.map { feature in
      guard let tensor = outputs[feature.description.name] else {
        throw BackendError.failed(
          backend: .coreml, kind: .runtime, message: "the prediction has no output \"\(feature.description.name)\"")
      }
      return (name: feature.name, tensor: tensor)
    }
    result.pointee = ResultHandle(ordered, seconds: seconds).retained()
  }
}

func describeResult(
  result: OpaquePointer?, index: Int, tensor: UnsafeMutablePointer<tt_tensor>?, error: ErrorSlot
) -> tt_status {
  attempt(error) {
    guard let handle = ResultHandle.of(result) else { throw MisuseError("result_tensor: `result` is NULL") }
    guard let tensor else { throw MisuseError("result_tensor: `tensor` is NULL; pass the address of a tt_tensor") }
    guard handle.outputs.indices.contains(index) else {
      throw MisuseError("result_tensor: index \(index) is out of range, there are \(handle.outputs.count) outputs")
    }
    let (name, output) = handle.outputs[index]
    tensor.pointee = try descriptor(of: output, named: name, for: "result_tensor")
  }
}
