import CoreVideo
import TintypeImages
import TintypeMLX

/// Memory of the caller's that an output shall be written to.
enum OutputBacking {
  case array(MLMultiArray)
  case picture(CVPixelBuffer)

  /// Throws where a prediction could never write the output there. Apple's rule: `isAllowedValue` of the output's
  /// description must hold, and 16-bit floats over a pixel buffer may also take an output of wider ones.
  init(_ object: Any, for feature: MLFeatureDescription) throws {
    switch object {
    case let array as MLMultiArray:
      self = .array(array)
      let type = feature.multiArrayConstraint?.dataType
      let isNarrowed = array.pixelBuffer != nil && (type == .float32 || type == .double)
      guard feature.isAllowedValue(MLFeatureValue(multiArray: array)), array.dataType == type || isNarrowed else {
        throw OutputBacking.mismatch(feature, "a \(array.dataType) array of shape \(array.extents)")
      }
    case let buffer as CVPixelBuffer:
      self = .picture(buffer)
      guard feature.isAllowedValue(MLFeatureValue(pixelBuffer: buffer)) else {
        let size = "\(CVPixelBufferGetWidth(buffer)) × \(CVPixelBufferGetHeight(buffer))"
        let format = pixelFormatName(CVPixelBufferGetPixelFormatType(buffer))
        throw OutputBacking.mismatch(feature, "a pixel buffer of \(size) in \(format)")
      }
    default:
      throw OutputBacking.mismatch(feature, "a \(Swift.type(of: object)), neither MLMultiArray nor CVPixelBuffer")
    }
  }

  private static func mismatch(_ feature: MLFeatureDescription, _ given: String) -> MLModelError {
    MLModelError(
      .featureType, status: .invalidArgument,
      "The output backing for feature '\(feature.name)' does not match the model's description: it is \(given).")
  }

  /// The array, written; nil where this prediction's output has another shape, as flexible ones may.
  func array(_ tensor: Tensor) throws -> MLMultiArray? {
    guard case .array(let array) = self, array.extents == tensor.shape else { return nil }
    array.copyElements(of: try tensor.converted(to: array.dataType.elementType))
    return array
  }

  /// The pixel buffer, written; nil where this prediction's picture has another size.
  func picture(_ tensor: Tensor, _ constraint: MLImageConstraint) -> CVPixelBuffer? {
    guard case .picture(let buffer) = self, (try? tensor.copyPixels(to: buffer, constraint.image.colorLayout)) != nil
    else { return nil }
    return buffer
  }
}

extension MLModel {
  /// The options' backings by output; those of names that the model does not have are passed over.
  func backings(_ options: MLPredictionOptions) throws -> [String: OutputBacking] {
    try options.outputBackings.reduce(into: [:]) { backings, row in
      guard let feature = modelDescription.outputDescriptionsByName[row.key] else { return }
      backings[row.key] = try OutputBacking(row.value, for: feature)
    }
  }
}
