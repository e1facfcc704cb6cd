/// A value of a request that cannot be used; each case holds it, the description adds what would do.
public enum RequestError: Error, Equatable, Sendable {
  /// Below 1, or more than the model was trained for (`most`).
  case steps(Int, most: Int, modelDefault: Int)
  /// Negative, not a number or beyond what the model can embed.
  case guidanceScale(Double)
  /// A side that 16 (the VAE's 8 times the patch's 2) does not divide.
  case sizeMultiple(side: String, value: Int)
  /// A size that the bundle was not converted for; `own` are those that it was.
  case sizeMismatch(requested: ImageSize, model: String, own: [ImageSize])
  /// T5 was left out where it alone reads the whole prompt.
  case t5Needed(model: String, family: String)
  /// A picture to begin with of another size than the model's.
  case imageSize(actual: ImageSize, model: String, own: ImageSize)
  /// A mask of another size than its picture.
  case maskSize(actual: ImageSize, image: ImageSize)
  /// Not above 0, or more than 1.
  case strength(Double)
  /// Below 1.
  case previewInterval(Int)
  /// Fewer pictures than 1, or more than `most`.
  case count(Int, most: Int)
  /// The caller's noise is one picture's.
  case latentsOfSeveral(count: Int)
  /// Noise of another shape than the model's latents.
  case latentsShape(expected: [Int], actual: [Int])
  /// Noise that is not floating-point.
  case latentsType(ElementType)
  /// Noise with so many NaN or infinite values.
  case latentsNotFinite(count: Int)

  static let sideMultiple = 16
  /// The most pictures of one request.
  package static let mostPictures = 10_000
}

extension RequestError: ExplainedError {
  package var explanation: (problem: String, remedy: String?) {
    switch self {
    case .steps(let value, let most, let modelDefault):
      ("steps is \(value), expected an integer from 1 to \(most); \(modelDefault) is this model's default", nil)
    case .guidanceScale(let value):
      (
        "guidanceScale is \(value), expected a number of at least 0 (1 or less: no guidance), at most "
          + "\(Sinusoid.mostGuidance)", nil
      )
    case .sizeMultiple(let side, let value):
      ("\(side) is \(value), expected a multiple of \(Self.sideMultiple), such as \(Self.nearest(value))", nil)
    case .sizeMismatch(let requested, let model, let own):
      (
        "size is \(requested), but the model \(model) was converted for \(Self.list(own))",
        "leave size out, or convert the model again for \(requested)"
      )
    case .t5Needed(let model, let family):
      (
        "T5 is left out, but \(model) is of the family \(family), which has no other reader of the whole prompt",
        "have it read the prompt: leave useT5 (--no-t5) out"
      )
    case .imageSize(let actual, let model, let own):
      (
        "the image is \(actual), but \(model) draws \(own)",
        "have it resized (fill or stretch), or ask for size \(actual), which the model must be converted for"
      )
    case .maskSize(let actual, let image):
      ("the mask is \(actual), but the image is \(image)", "scale or crop the mask")
    case .strength(let value):
      ("strength is \(value), expected a number above 0 up to 1 (1 begins with noise alone)", nil)
    case .previewInterval(let value):
      ("previewInterval is \(value), expected an integer of at least 1", "leave it out for no previews")
    case .count(let value, let most):
      ("count is \(value), expected an integer from 1 to \(most)", nil)
    case .latentsOfSeveral(let count):
      ("initialLatents are one picture's, but \(count) are asked for", "leave initialLatents out, or ask for one")
    case .latentsShape(let expected, let actual):
      ("initialLatents have shape \(actual), expected a float array of shape \(expected)", nil)
    case .latentsType(let type):
      ("initialLatents are \(type.rawValue), expected float16, float32 or float64", nil)
    case .latentsNotFinite(let count):
      ("initialLatents hold \(count) NaN or infinite values, expected finite ones only", nil)
    }
  }

  private static func list(_ sizes: [ImageSize]) -> String {
    sizes.map(\.description).joined(separator: ", ")
  }

  private static func nearest(_ side: Int) -> Int {
    let step = Double(sideMultiple)
    return max(sideMultiple, Int(exactly: (Double(side) / step).rounded() * step) ?? sideMultiple)
  }
}
