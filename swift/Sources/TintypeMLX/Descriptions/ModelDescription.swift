/// What a model says of one input, output or state.
public struct FeatureDescription: Sendable, Equatable {
  /// What predictions call it.
  public let name: String
  /// What its elements are.
  public let elementType: ElementType
  /// -1 stands for a flexible extent; nil for any shape.
  public let shape: [Int]?
  /// The shape of a flexible array where a caller names none; nil where the package tells none.
  public let defaultShape: [Int]?
  /// The shapes that a flexible array may have; nil where they are not known, or the shape is fixed. Those of a picture
  /// are in `image`.
  public let allowedShapes: AllowedShapes?
  /// May be left out of a prediction.
  public let isOptional: Bool
  /// Of a picture; nil for arrays. `elementType` and `shape` are then those of the picture's tensor.
  public let image: ImageDescription?

  /// An array.
  public init(
    name: String, elementType: ElementType, shape: [Int]?, isOptional: Bool = false, defaultShape: [Int]? = nil,
    allowedShapes: AllowedShapes? = nil
  ) {
    self.name = name
    self.elementType = elementType
    self.shape = shape
    self.isOptional = isOptional
    self.defaultShape = defaultShape
    self.allowedShapes = allowedShapes
    image = nil
  }

  /// A picture.
  public init(name: String, image: ImageDescription, isOptional: Bool = false) {
    self.name = name
    self.isOptional = isOptional
    self.image = image
    (defaultShape, allowedShapes) = (nil, nil)
    elementType = image.colorLayout.elementType
    shape = image.shape
  }

  /// Whether a tensor of this shape fits.
  public func accepts(shape actual: [Int]) -> Bool {
    if let image { return image.size(ofShape: actual).map(image.allows) ?? false }
    if let allowedShapes { return allowedShapes.allow(actual) }
    guard let shape else { return true }
    return shape.count == actual.count && zip(shape, actual).allSatisfy { $0 == -1 || $0 == $1 }
  }
}

/// One function of a package: what it takes and gives, in the package's order.
public struct FunctionDescription: Sendable, Equatable {
  /// What predictions ask for it by.
  public let name: String
  /// What it takes.
  public let inputs: [FeatureDescription]
  /// What it gives.
  public let outputs: [FeatureDescription]
  /// What it keeps between predictions, in a state that the caller holds.
  public let states: [FeatureDescription]

  /// A function with its features in the package's order.
  public init(
    name: String, inputs: [FeatureDescription], outputs: [FeatureDescription], states: [FeatureDescription] = []
  ) {
    self.name = name
    self.inputs = inputs
    self.outputs = outputs
    self.states = states
  }

  /// The input of that name; nil where there is none.
  public func input(named name: String) -> FeatureDescription? { inputs.first { $0.name == name } }
  /// The output of that name; nil where there is none.
  public func output(named name: String) -> FeatureDescription? { outputs.first { $0.name == name } }
}

/// What a package offers: its functions, the default one first.
public struct ModelDescription: Sendable, Equatable {
  /// The default one first.
  public let functions: [FunctionDescription]

  /// A package's functions, the default one first.
  public init(functions: [FunctionDescription]) {
    self.functions = functions
  }

  /// The function of that name; nil asks for the default one.
  public func function(named name: String?) -> FunctionDescription? {
    guard let name else { return functions.first }
    return functions.first { $0.name == name }
  }

  /// Inputs of the default function.
  public var inputs: [FeatureDescription] { functions.first?.inputs ?? [] }
  /// Outputs of the default function.
  public var outputs: [FeatureDescription] { functions.first?.outputs ?? [] }
}
