import Foundation
import Tintype

/// Time of one prediction of a package: through each backend, and through the engine's C ABI without Swift's layers.
struct PackageBench {
  let package: URL
  let kinds: [BackendKind]
  let units: ComputeUnits
  let count: Int

  struct Report: Encodable {
    let path: String
    let predictions: Int
    /// By route ("c_abi", "mlx", "coreml"): microseconds a prediction.
    let microseconds: [String: Double]
    let unavailable: [String: String]

    var text: String {
      var lines = ["\(path): \(predictions) predictions a route, in turn (median of blocks)", ""]
      let rows = microseconds.sorted { $0.value < $1.value }.map { route, value in
        [route, "\(decimals(value, 1)) µs", route == "c_abi" ? "" : overhead(of: value)]
      }
      lines += tableLines(rows, right: 1..<2)
      lines += unavailable.sorted { $0.key < $1.key }.map { "\($0) not measured: \($1)" }
      return lines.joined(separator: "\n")
    }

    private func overhead(of value: Double) -> String {
      guard let bare = microseconds["c_abi"] else { return "" }
      let difference = value - bare
      return "\(difference < 0 ? "" : "+")\(decimals(difference, 1)) µs over the C ABI"
    }
  }

  private static let blocks = 20

  func run() async throws -> Report {
    var (routes, unavailable): ([(name: String, predict: @Sendable (Int) throws -> Void)], [String: String]) = ([], [:])
    for kind in kinds {
      do {
        let backend = (kind == .coreml ? BackendChoice.coreml : .mlx).makeBackend()
        try backend.checkAvailability()
        let model = try await Blocking.run { [package, units] in try backend.load(package, units: units) }
        let inputs = try Self.zeros(for: model.modelDescription)
        routes.append((kind.rawValue, { count in for _ in 0..<count { _ = try model.predict(inputs) } }))
        if kind == .mlx {
          let bare = try EngineModel(path: package.path, library: EngineLibrary.open())
          routes.append(("c_abi", { count in try bare.predictBare(inputs, times: count) }))
        }
      } catch let error as BackendError where kinds.count > 1 && error.kind == .unavailable {
        unavailable[kind.rawValue] = "\(error)"
      }
    }
    guard !routes.isEmpty else { throw NothingRuns(reasons: unavailable) }
    let size = max(1, count / Self.blocks)
    var times: [String: [Double]] = [:]
    // A first round fills the caches.
    for round in 0...max(1, count / size) {
      for route in routes {
        try Task.checkCancellation()
        let clock = ContinuousClock()
        let duration = try clock.measure { try route.predict(size) }
        if round > 0 { times[route.name, default: []].append(1e6 * duration.seconds / Double(size)) }
      }
    }
    return Report(
      path: package.path, predictions: size * max(1, count / size), microseconds: times.mapValues(median),
      unavailable: unavailable)
  }

  /// Flexible extents are 1.
  private static func zeros(for description: ModelDescription) throws -> [String: Tensor] {
    try description.inputs.filter { !$0.isOptional }.reduce(into: [:]) { inputs, feature in
      let shape = (feature.shape ?? [1]).map { max($0, 1) }
      inputs[feature.name] = try Tensor.zeros(shape: shape, elementType: feature.elementType)
    }
  }
}
