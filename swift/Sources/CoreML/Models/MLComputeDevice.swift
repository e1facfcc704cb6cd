/// What all compute devices have in common.
public protocol MLComputeDeviceProtocol: Sendable {}

/// The CPU.
public final class MLCPUComputeDevice: MLComputeDeviceProtocol {
  static let shared = MLCPUComputeDevice()
}

/// A GPU. There is none behind the portable Core ML.
public final class MLGPUComputeDevice: MLComputeDeviceProtocol {
  private init() {}
}

/// The Neural Engine. There is none behind the portable Core ML.
public final class MLNeuralEngineComputeDevice: MLComputeDeviceProtocol {
  public let totalCoreCount: Int
  private init(totalCoreCount: Int) { self.totalCoreCount = totalCoreCount }
}

/// A device that models run on.
public enum MLComputeDevice: Sendable, CustomStringConvertible {
  case cpu(MLCPUComputeDevice)
  case gpu(MLGPUComputeDevice)
  case neuralEngine(MLNeuralEngineComputeDevice)

  /// The devices of this machine: the CPU.
  public static var allComputeDevices: [MLComputeDevice] { [.cpu(.shared)] }

  public var description: String {
    switch self {
    case .cpu: "CPU"
    case .gpu: "GPU"
    case .neuralEngine: "Neural Engine"
    }
  }
}

extension MLModel {
  /// The devices that predictions can use here: the CPU.
  public class var availableComputeDevices: [MLComputeDevice] { MLComputeDevice.allComputeDevices }
}
