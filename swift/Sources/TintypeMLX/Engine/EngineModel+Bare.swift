import CTintype

extension EngineModel {
  /// For benchmarks: calls the C function alone, with the descriptors of one set of inputs, and frees its results.
  package func predictBare(_ inputs: [String: Tensor], times: Int) throws {
    try withExtendedLifetime(inputs) {
      try withDescriptors(of: inputs.map { (name: $0.key, view: $0.value.view) }) { descriptors in
        for _ in 0..<times {
          var result: OpaquePointer?
          try library.check {
            library.api.predict(handle, nil, descriptors.baseAddress, descriptors.count, &result, $0)
          }
          library.api.result_free(result)
        }
      }
    }
  }
}
