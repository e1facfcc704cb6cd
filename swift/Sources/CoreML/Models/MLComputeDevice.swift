/// What all compute devices have in common.
public protocol MLComputeDeviceProtocol: AnyObject, Sendable {}

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
  /// Number of its cores.
  public let totalCoreCount: Int
  private init(totalCoreCount: Int) { self.totalCoreCount = totalCoreCount }
}

/// A device that models run on.
public enum MLComputeDevice: Sendable, Hashable, CustomStringConvertible {
  /// The CPU.
  case cpu(MLCPUComputeDevice)
  /// A GPU.
  case gpu(MLGPUComputeDevice)
  /// The Neural Engine.
  case neuralEngine(MLNeuralEngineComputeDevice)

  /// The devices of this machine: the CPU.
  public static var allComputeDevices: [MLComputeDevice] { [.cpu(.shared)] }

  /// What the device is.
  public var description: String {
    switch self {
    case .cpu: "CPU"
    case .gpu: "GPU"
    case .neuralEngine: "Neural Engine"
    }
  }

  private var object: ObjectIdentifier {
    switch self {
    case .cpu(let device): ObjectIdentifier(device)
    case .gpu(let device): ObjectIdentifier(device)
    case .neuralEngine(let device): ObjectIdentifier(device)
    }
  }

  /// Whether both are the same device.
  public static func == (left: MLComputeDevice, right: MLComputeDevice) -> Bool { left.object == right.object }

  /// Feeds the device to the hasher.
  public func hash(into hasher: inout Hasher) { hasher.combine(object) }
}

extension MLModel {
  /// The devices that predictions can use here: the CPU.
  public class var availableComputeDevices: [MLComputeDevice] { MLComputeDevice.allComputeDevices }
}
