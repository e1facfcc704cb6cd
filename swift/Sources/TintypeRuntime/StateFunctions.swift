import CTintype
import TintypeBackends

/// `tt_state`: a model's state, and the memory that the C side sees of it.
///
/// Core ML lends a state's buffer only for the length of a call, while the C side keeps a view until the next
/// prediction. So it gets a copy, which is written back when that prediction begins.
final class StateHandle: Handle, Sendable {
  private let model: ModelHandle
  private let state: any ModelState
  private let shared = Locked(Shared())

  private struct Shared {
    var isUsed = false
    /// What the C side may have written, by name.
    var copies: [String: (name: CName, tensor: Tensor)] = [:]
  }

  init(_ model: ModelHandle, function: String?) throws {
    self.model = model
    state = try model.model.makeState(function: function)
  }

  /// Calls `body` with the state, current and not used by anybody else; with nil where there is none.
  static func using<Result>(
    _ handle: StateHandle?, of model: ModelHandle, _ body: ((any ModelState)?) throws -> Result
  ) throws -> Result {
    guard let handle else { return try body(nil) }
    guard handle.model === model else { throw MisuseError("predict: the state belongs to another model") }
    return try handle.exclusively("predict") { shared in
      for (name, copy) in shared.copies { try handle.state.set(name, to: copy.tensor) }
      shared.copies = [:]
      return try body(handle.state)
    }
  }

  /// The copy of one state, made anew after each prediction.
  func view(of name: String) throws -> (name: CName, tensor: Tensor) {
    try exclusively("state_tensor") { shared in
      if let copy = shared.copies[name] { return copy }
      let copy = (name: CName(name), tensor: try state.tensor(named: name))
      shared.copies[name] = copy
      return copy
    }
  }

  private func exclusively<Result>(_ entry: String, _ body: (inout Shared) throws -> Result) throws -> Result {
    var mine = try shared.withLock { shared in
      if shared.isUsed { throw MisuseError("\(entry): the state is in use by another call") }
      shared.isUsed = true
      return shared
    }
    defer {
      mine.isUsed = false
      shared.withLock { $0 = mine }
    }
    return try body(&mine)
  }
}

func newState(
  model: OpaquePointer?, function: UnsafePointer<CChar>?, state: UnsafeMutablePointer<OpaquePointer?>?,
  error: ErrorSlot
) -> tt_status {
  state?.pointee = nil
  return attempt(error) {
    guard let handle = ModelHandle.of(model) else { throw MisuseError("state_new: `model` is NULL") }
    guard let state else { throw MisuseError("state_new: `state` is NULL; pass the address of a tt_state pointer") }
    state.pointee = try StateHandle(handle, function: function.map { String(cString: $0) }).retained()
  }
}

func describeState(
  state: OpaquePointer?, name: UnsafePointer<CChar>?, tensor: UnsafeMutablePointer<tt_tensor>?, error: ErrorSlot
) -> tt_status {
  attempt(error) {
    guard let handle = StateHandle.of(state) else { throw MisuseError("state_tensor: `state` is NULL") }
    guard let tensor else { throw MisuseError("state_tensor: `tensor` is NULL; pass the address of a tt_tensor") }
    guard let name else { throw MisuseError("state_tensor: `name` is NULL; pass a state's name") }
    let copy = try handle.view(of: String(cString: name))
    tensor.pointee = try descriptor(of: copy.tensor, named: copy.name, for: "state_tensor")
  }
}

/// A tensor's memory as the C side sees it.
func descriptor(of tensor: Tensor, named name: CName, for entry: String) throws -> tt_tensor {
  let view = tensor.view
  guard view.shape.count <= Int(TT_MAX_RANK) else {
    throw MisuseError("\(entry): the tensor has rank \(view.shape.count), at most \(TT_MAX_RANK) is possible")
  }
  var descriptor = tt_tensor()
  descriptor.name = name.pointer
  descriptor.data = UnsafeMutableRawPointer(mutating: view.base)
  descriptor.dtype = view.elementType.abiValue
  descriptor.rank = Int32(view.shape.count)
  view.shape.store(in: &descriptor.shape)
  view.strides.store(in: &descriptor.strides)
  return descriptor
}
