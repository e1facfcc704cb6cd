import CTintype
import TintypeBackends

/// An object that the C side holds by an opaque pointer.
protocol Handle: AnyObject {}

extension Handle {
  /// Gives the C side one reference.
  func retained() -> OpaquePointer { OpaquePointer(Unmanaged.passRetained(self).toOpaque()) }

  /// The object, without taking the C side's reference.
  static func of(_ pointer: OpaquePointer?) -> Self? {
    pointer.map { Unmanaged<Self>.fromOpaque(UnsafeRawPointer($0)).takeUnretainedValue() }
  }

  /// Takes the C side's reference back.
  static func release(_ pointer: OpaquePointer?) {
    guard let pointer else { return }
    Unmanaged<Self>.fromOpaque(UnsafeRawPointer(pointer)).release()
  }
}

/// `tt_model`: a loaded model and the C strings of its description.
final class ModelHandle: Handle, Sendable {
  struct Feature: Sendable {
    let name: CName
    let description: FeatureDescription
  }

  struct Function: Sendable {
    let name: CName
    let description: FunctionDescription
    let inputs: [Feature]
    let outputs: [Feature]
    let states: [Feature]
  }

  let model: any LoadedModel
  let functions: [Function]

  init(_ model: any LoadedModel) {
    self.model = model
    func features(_ descriptions: [FeatureDescription]) -> [Feature] {
      descriptions.map { Feature(name: CName($0.name), description: $0) }
    }
    functions = model.modelDescription.functions.map { function in
      Function(
        name: CName(function.name), description: function, inputs: features(function.inputs),
        outputs: features(function.outputs), states: features(function.states))
    }
  }

  func function(at index: Int) -> Function? { functions.indices.contains(index) ? functions[index] : nil }

  /// The function of that name; NULL asks for the default one.
  func function(named name: UnsafePointer<CChar>?) -> Function? {
    guard let name else { return functions.first }
    let text = String(cString: name)
    return functions.first { $0.description.name == text }
  }

  /// nil: no such function or kind.
  func features(ofFunction name: UnsafePointer<CChar>?, kind: tt_feature_kind) -> [Feature]? {
    guard let function = function(named: name) else { return nil }
    switch Int(kind) {
    case Int(TT_INPUT): return function.inputs
    case Int(TT_OUTPUT): return function.outputs
    case Int(TT_STATE): return function.states
    default: return nil
    }
  }
}

/// `tt_result`: the outputs of a prediction, in the order of the description.
final class ResultHandle: Handle, Sendable {
  let outputs: [(name: CName, tensor: Tensor)]
  /// Of the prediction; nil: nobody asked.
  let seconds: Double?

  init(_ outputs: [(name: CName, tensor: Tensor)], seconds: Double?) {
    self.outputs = outputs
    self.seconds = seconds
  }

  /// Core ML tells no more of a prediction than how long it took.
  var statisticsJSON: String? { seconds.map { "{\"seconds\": \($0)}" } }
}
