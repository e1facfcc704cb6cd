import TintypeBackends

extension BundleDescriptor {
  /// One input or output of a component.
  public struct TensorSpec: Codable, Sendable, Equatable {
    /// What the package calls it.
    public let name: String
    /// "float16", "float32" or "int32".
    public let dtype: String
    /// Extents from the outermost axis to the innermost.
    public let shape: [Int]
  }

  /// What a package's function for another size takes and gives.
  public struct FunctionRow: Codable, Sendable, Equatable {
    /// In the package's order.
    public let inputs: [TensorSpec]
    /// In the package's order.
    public let outputs: [TensorSpec]
  }

  /// A recorded prediction of a component, as a safetensors file with tensors `input.NAME` and `expected.NAME`.
  public struct SelfTestRow: Codable, Sendable, Equatable {
    /// Relative to the bundle's folder.
    public let path: String
    /// The largest error, relative to the largest magnitude of the expected output.
    public let tolerance: Double
    /// Nil: the default function.
    public let function: String?
  }

  /// One `.mlpackage` of a component that is cut into several; `path` is relative to the bundle's folder.
  public struct ChunkRow: Codable, Sendable, Equatable {
    /// Relative to the bundle's folder.
    public let path: String
    /// What it takes: the component's inputs, or outputs of chunks before it.
    public let inputs: [TensorSpec]
    /// What it gives.
    public let outputs: [TensorSpec]
    /// How many weights it has.
    public let parameters: Int?
    /// Bytes of `weight.bin`.
    public let weightBytes: Int?
    /// The hash of `weight.bin`, in hexadecimal.
    public let sha256: String?
    /// By name, where the bundle has several sizes.
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
    /// The whole component's, at the size of the descriptor.
    public internal(set) var outputs: [TensorSpec]
    /// How many weights it has, in all chunks.
    public let parameters: Int?
    /// Bytes of the weight files, of all chunks.
    public let weightBytes: Int?
    /// The hash of `weight.bin`, in hexadecimal; nil where there are chunks.
    public let sha256: String?
    /// How the weights were compressed, and how far that took them from their source.
    package let compression: [String: JSONValue]?
    /// By name (`ImageSize.functionName`); nil where nothing depends on the size, or there is only one.
    public let functions: [String: FunctionRow]?
    /// In running order.
    public let chunks: [ChunkRow]?
    /// A recorded prediction that a backend must reproduce before it is trusted.
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
    /// Pixels of the picture across.
    public let width: Int
    /// Pixels of the picture down.
    public let height: Int
    /// The latent of a picture of this size.
    public let latent: Grid

    /// Latent pixels.
    public struct Grid: Codable, Sendable, Equatable {
      /// Latent pixels down.
      public let height: Int
      /// Latent pixels across.
      public let width: Int
    }

    /// The picture's size.
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
  func function(of component: PipelineComponent) -> String? {
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
