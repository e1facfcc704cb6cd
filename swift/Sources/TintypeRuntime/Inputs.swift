import CTintype
import TintypeBackends

/// Tensors over the caller's memory, which must stay valid during the call: contiguous inputs are not copied.
/// Others are copied after the function has accepted their shape.
func readInputs(
  _ descriptors: UnsafeBufferPointer<tt_tensor>, of function: FunctionDescription
) throws -> [String: Tensor] {
  var tensors: [String: Tensor] = [:]
  tensors.reserveCapacity(descriptors.count)
  for (index, descriptor) in descriptors.enumerated() {
    guard let pointer = descriptor.name else { throw MisuseError("predict: input \(index) has no name") }
    let name = String(cString: pointer)
    guard tensors.updateValue(try tensor(of: descriptor, named: name, function), forKey: name) == nil else {
      throw MisuseError("predict: input \"\(name)\" is given twice")
    }
  }
  return tensors
}

private func tensor(
  of descriptor: tt_tensor, named name: String, _ function: FunctionDescription
) throws -> Tensor {
  guard let elementType = ElementType(abiValue: descriptor.dtype) else {
    throw MisuseError("predict: input \"\(name)\" has the unknown dtype \(descriptor.dtype)")
  }
  guard (0...Int32(TT_MAX_RANK)).contains(descriptor.rank) else {
    throw MisuseError("predict: input \"\(name)\" has rank \(descriptor.rank), expected 0 to \(TT_MAX_RANK)")
  }
  let shape = [Int](descriptor.shape, rank: descriptor.rank)
  let strides = [Int](descriptor.strides, rank: descriptor.rank)
  let count = try Tensor.elementCount(of: shape, elementType: elementType)
  try function.checkInput(named: name, shape: shape, elementType: elementType)
  guard let data = descriptor.data else {
    guard count == 0 else { throw MisuseError("predict: input \"\(name)\" has no data (its pointer is NULL)") }
    return try Tensor.zeros(shape: shape, elementType: elementType)
  }
  try checkReach(of: name, shape: shape, strides: strides, elementSize: elementType.size)
  let view = TensorView(base: data, elementType: elementType, shape: shape, strides: strides)
  // Aligned elements can be used where they lie.
  if view.isContiguous, UInt(bitPattern: data) % UInt(elementType.size) == 0 {
    return try Tensor(shape: shape, elementType: elementType, taking: data, release: {})
  }
  return try Tensor(copying: view)
}

/// Offsets that overflow would trap in the copy.
private func checkReach(of name: String, shape: [Int], strides: [Int], elementSize: Int) throws {
  var reach = 0
  for (extent, stride) in zip(shape, strides) where extent > 1 {
    let (distance, overflow) = Int(stride.magnitude & UInt(Int.max)).multipliedReportingOverflow(by: extent)
    let (sum, sumOverflow) = reach.addingReportingOverflow(distance)
    guard stride != .min, !overflow, !sumOverflow, sum < Int.max / elementSize else {
      throw MisuseError("predict: input \"\(name)\" has strides \(strides), which reach beyond any memory")
    }
    reach = sum
  }
}
