import CoreML
import TintypeMLX
import TintypePackages

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

extension ModelDescription {
  /// What Core ML says of a compiled model with several functions, the first that it lists as the default one; nil where
  /// there is only one, where the system knows of no more (before macOS 15 and iOS 18), or the model cannot be read.
  init?(functionsOf compiled: URL) throws {
    guard #available(macOS 15, iOS 18, tvOS 18, visionOS 2, *), let asset = try? MLModelAsset(url: compiled),
      let names: [String] = try? Callback.value({ asset.functionNames(completionHandler: $0) }),
      names.count > 1
    else { return nil }
    do {
      self.init(
        functions: try names.map { name in
          try Callback.value { answer in
            asset.modelDescription(ofFunctionNamed: name) { description, error in
              answer(description.map { FunctionDescription(name: name, $0) }, error)
            }
          }
        })
    } catch {
      throw CoreMLPlatform.backendError(error, .runtime)
    }
  }
}

extension FunctionDescription {
  /// Core ML keeps no order of features; names give one.
  init(name: String, _ model: MLModelDescription) {
    let classifier = ClassifierDescription(model)
    func features(_ descriptions: [String: MLFeatureDescription]) -> [FeatureDescription] {
      descriptions.values.sorted { $0.name < $1.name }.compactMap {
        classifier?.feature(named: $0.name) ?? FeatureDescription($0)
      }
    }
    var states: [FeatureDescription] = []
    if #available(macOS 15, iOS 18, tvOS 18, visionOS 2, *) {
      states = model.stateDescriptionsByName.values.sorted { $0.name < $1.name }.compactMap(
        FeatureDescription.init(state:))
    }
    self.init(
      name: name, inputs: features(model.inputDescriptionsByName), outputs: features(model.outputDescriptionsByName),
      states: states)
  }
}

extension FeatureDescription {
  /// nil for what is neither a picture nor an array.
  fileprivate init?(_ description: MLFeatureDescription) {
    if let image = description.imageConstraint.flatMap(ImageDescription.init) {
      self.init(name: description.name, image: image, isOptional: description.isOptional)
      return
    }
    guard let constraint = description.multiArrayConstraint,
      let type = ElementType(coreMLRawValue: constraint.dataType.rawValue)
    else { return nil }
    // Core ML has no scalars; where a package says nothing of an output's shape, the constraint has no axes.
    let shape = constraint.shape.isEmpty ? nil : constraint.shape.map(\.intValue)
    let limits = constraint.shapeConstraint
    let enumerated = AllowedShapes.enumerated(limits.enumeratedShapes.map { $0.map(\.intValue) })
    switch limits.type {
    case .enumerated where limits.enumeratedShapes.count > 1:
      self.init(
        name: description.name, elementType: type, shape: enumerated.commonShape, isOptional: description.isOptional,
        defaultShape: shape, allowedShapes: enumerated)
    // Core ML checks the bounds itself.
    case .range:
      self.init(
        name: description.name, elementType: type, shape: shape?.map { _ in -1 }, isOptional: description.isOptional,
        defaultShape: shape)
    default:
      self.init(name: description.name, elementType: type, shape: shape, isOptional: description.isOptional)
    }
  }

  @available(macOS 15, iOS 18, tvOS 18, visionOS 2, *)
  fileprivate init?(state description: MLFeatureDescription) {
    guard let constraint = description.stateConstraint,
      let type = ElementType(coreMLRawValue: constraint.dataType.rawValue)
    else { return nil }
    self.init(name: description.name, elementType: type, shape: constraint.bufferShape)
  }
}
