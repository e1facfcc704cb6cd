/// Where tensors' operations run: here on the CPU, whatever it says.
public struct MLComputePolicy: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
  private let computeUnits: MLComputeUnits

  /// The policy of these units.
  public init(_ computeUnits: MLComputeUnits) { self.computeUnits = computeUnits }

  /// The CPU.
  public static var cpuOnly: MLComputePolicy { MLComputePolicy(.cpuOnly) }

  /// The GPU if there is one, else the CPU.
  public static var cpuAndGPU: MLComputePolicy { MLComputePolicy(.cpuAndGPU) }

  /// The name of the units.
  public var description: String { "\(computeUnits)" }

  /// What debuggers show: the units.
  public var customMirror: Mirror { Mirror(self, children: ["computeUnits": computeUnits], displayStyle: .struct) }
}

/// Calls `body`. Operations on tensors run on the CPU here, whatever the policy asks for.
public func withMLTensorComputePolicy<Result>(
  _ computePolicy: MLComputePolicy, _ body: () throws -> Result
) rethrows -> Result {
  try body()
}

/// Calls `body`. Operations on tensors run on the CPU here, whatever the policy asks for.
public func withMLTensorComputePolicy<R>(
  _ computePolicy: MLComputePolicy, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
) async rethrows -> R {
  try await body()
}
