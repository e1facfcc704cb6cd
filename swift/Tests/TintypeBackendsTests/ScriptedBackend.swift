import Foundation

@testable import TintypeBackends

/// A backend that does what the test says.
struct ScriptedBackend: Backend {
  let kind: BackendKind
  var availability: BackendError?
  var loading: BackendError?
  /// How many loads end with `loading`: all, or the first ones.
  var failingLoads = Int.max
  var predicting: BackendError?
  /// What every prediction gives, under the backend's name or `output`.
  var value: Float = 0
  var output: String?
  var beforeLoading: @Sendable () -> Void = {}
  /// Called when a function of a loaded model is opened.
  var opening: @Sendable (String?) throws -> Void = { _ in }
  let loads = Locked(0)

  func checkAvailability() throws { if let availability { throw availability } }

  func load(_ package: URL, units: ComputeUnits) throws -> any LoadedModel {
    let number = loads.withLock { loads in
      loads += 1
      return loads
    }
    beforeLoading()
    if let loading, number <= failingLoads { throw loading }
    return Model(backend: kind, error: predicting, value: value, output: output ?? kind.rawValue, opening: opening)
  }

  struct Model: LoadedModel {
    let backend: BackendKind
    let error: BackendError?
    let value: Float
    let output: String
    let opening: @Sendable (String?) throws -> Void
    let modelDescription = ModelDescription(functions: [])

    func prepare(function: String?) throws { try opening(function) }

    func predict(_ inputs: [String: Tensor], function: String?) throws -> [String: Tensor] {
      if let error { throw error }
      return [output: try Tensor(shape: [1], floats: [value])]
    }
  }
}
