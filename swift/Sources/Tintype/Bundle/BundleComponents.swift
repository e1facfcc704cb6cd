import TintypeBackends

extension BundleDescriptor {
  /// One input or output of a component.
  public struct TensorSpec: Codable, Sendable, Equatable {
    public let name: String
    public let dtype: String
    public let shape: [Int]
  }

  /// What a package's function for another size takes and gives.
  public struct FunctionRow: Codable, Sendable, Equatable {
    public let inputs: [TensorSpec]
    public let outputs: [TensorSpec]
  }

  /// A recorded prediction of a component, as a safetensors file with tensors `input.NAME` and `expected.NAME`.
  public struct SelfTestRow: Codable, Sendable, Equatable {
    public let path: String
    /// The largest error, relative to the largest magnitude of the expected output.
    public let tolerance: Double
    /// Nil: the default function.
    public let function: String?
  }

  /// One `.mlpackage` of a component that is cut into several; `path` is relative to the bundle's folder.
  public struct ChunkRow: Codable, Sendable, Equatable {
    public let path: String
    public let inputs: [TensorSpec]
    public let outputs: [TensorSpec]
    public let parameters: Int?
    public let weightBytes: Int?
    public let sha256: String?
    public let functions: [String: FunctionRow]?

    enum CodingKeys: String, CodingKey {
      case path, inputs, outputs, parameters, sha256, functions
      case weightBytes = "weight_bytes"
    }
  }

  /// One component: an `.mlpackage`, or chunks that run in order as one.
  public struct ComponentRow: Codable, Sendable, Equatable {
    /// Relative to the bundle's folder; nil where there are chunks.
    public let path: String?
    /// The whole component's, at the size of the descriptor.
    public internal(set) var inputs: [TensorSpec]
    public internal(set) var outputs: [TensorSpec]
    public let parameters: Int?
    public let weightBytes: Int?
    public let sha256: String?
    /// How the weights were compressed, and how far that took them from their source.
    public let compression: [String: JSONValue]?
    /// By name (`ImageSize.functionName`); nil where nothing depends on the size, or there is only one.
    public let functions: [String: FunctionRow]?
    /// In running order.
    public let chunks: [ChunkRow]?
    public let selfTest: SelfTestRow?

    enum CodingKeys: String, CodingKey {
      case path, inputs, outputs, parameters, sha256, compression, functions, chunks
      case weightBytes = "weight_bytes"
      case selfTest = "self_test"
    }

    /// The packages' paths, in running order.
    public var paths: [String] { path.map { [$0] } ?? (chunks ?? []).map(\.path) }

    /// The input of that name; nil where there is none.
    public func input(_ name: String) -> TensorSpec? { inputs.first { $0.name == name } }
    /// The output of that name; nil where there is none.
    public func output(_ name: String) -> TensorSpec? { outputs.first { $0.name == name } }
  }

  /// One of several sizes that a bundle was converted for.
  public struct SizeRow: Codable, Sendable, Equatable {
    public let width: Int
    public let height: Int
    public let latent: Grid

    /// Latent pixels.
    public struct Grid: Codable, Sendable, Equatable {
      public let height: Int
      public let width: Int
    }

    public var size: ImageSize { ImageSize(width: width, height: height) }
  }

  /// The sizes that pictures can have, the default one first.
  public var availableSizes: [ImageSize] { sizes.map { $0.map(\.size) } ?? [size] }

  /// The description as it reads for one of the sizes: that size, its latent and the components' shapes. Throws
  /// `RequestError.sizeMismatch` where the bundle was not converted for it.
  func sized(_ wanted: ImageSize) throws -> BundleDescriptor {
    if wanted == size { return self }
    guard let row = sizes?.first(where: { $0.size == wanted }) else {
      throw RequestError.sizeMismatch(requested: wanted, model: name, own: availableSizes)
    }
    var copy = self
    copy.size = wanted
    copy.latent = latent.resized(height: row.latent.height, width: row.latent.width)
    copy.components = components.mapValues { component in
      guard let function = component.functions?[wanted.functionName] else { return component }
      var component = component
      (component.inputs, component.outputs) = (function.inputs, function.outputs)
      return component
    }
    return copy
  }

  /// The function of a component's packages that works at the descriptor's size; nil: their default one.
  func function(of component: Component) -> String? {
    guard size != availableSizes.first, components[component.rawValue]?.functions?[size.functionName] != nil else {
      return nil
    }
    return size.functionName
  }
}

extension ImageSize {
  /// What the function for this size is called in packages that have several.
  var functionName: String { "size_\(width)x\(height)" }
}
