/// What a run tells while it goes on, picture by picture.
public enum GenerationEvent: Sendable {
  /// The text is encoded, the picture's loop is about to start.
  case conditioned(Conditioned)
  /// A step is done.
  case step(Step)
  /// The picture is done: its last event.
  case done(GenerationResult)

  /// `initialLatents` is the noise, float32 [1, C, h, w]; `negative` is nil without guidance.
  public struct Conditioned: Sendable {
    public let settings: GenerationSettings
    public let schedule: FlowMatchSchedule
    public let initialLatents: Tensor
    public let positive: TextConditioning
    public let negative: TextConditioning?
  }

  /// Step `number` (from 1) of `steps`; `latents`, float32 [1, C, h, w], are those after it.
  public struct Step: Sendable {
    /// The picture's place among those of its run, from 0.
    public let imageIndex: Int
    public let number: Int
    public let steps: Int
    public let sigma: Float
    public let timestep: Float
    public let latents: Tensor
    public let seconds: Double
    /// What the picture is likely to become, of twice the latent's width and height: the step's guess of the latents without
    /// noise, in colours. Nil where the request wants none.
    public let preview: RGBImage?
  }
}
