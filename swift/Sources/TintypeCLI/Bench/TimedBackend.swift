import Foundation
import Tintype

/// A backend that sums what its models' predictions take.
struct TimedBackend: Backend {
  let backend: any Backend
  let seconds: Locked<Double>

  var kind: BackendKind { backend.kind }

  func checkAvailability() throws { try backend.checkAvailability() }

  func load(_ package: URL, units: ComputeUnits) throws -> any LoadedModel {
    TimedModel(model: try backend.load(package, units: units), seconds: seconds)
  }
}

private struct TimedModel: LoadedModel {
  let model: any LoadedModel
  let seconds: Locked<Double>

  var backend: BackendKind { model.backend }
  var modelDescription: ModelDescription { model.modelDescription }

  func prepare(function: String?) throws { try model.prepare(function: function) }

  func predict(_ inputs: [String: Tensor], function: String?) throws -> [String: Tensor] {
    try predict(inputs, options: PredictionOptions(function: function))
  }

  func predict(_ inputs: [String: Tensor], options: PredictionOptions) throws -> [String: Tensor] {
    let start = ContinuousClock.now
    let outputs = try model.predict(inputs, options: options)
    let elapsed = (ContinuousClock.now - start).seconds
    seconds.withLock { $0 += elapsed }
    return outputs
  }
}
