/// What a run tells while it goes on: picture by picture `conditioned`, every `step`, `done`; the others when they come.
public enum GenerationEvent: Sendable {
  /// Core ML compiles a component's models, of which nothing is kept yet: minutes for large ones, once.
  case compiling(PipelineComponent)
  /// What the caller should know, such as that `auto` moves on and why; the results list it too.
  case warning(String)
  /// The text is encoded, the picture's loop is about to start.
  case conditioned(Conditioned)
  /// A step is done.
  case step(Step)
  /// The picture is done: its last event.
  case done(GenerationResult)

  /// `initialLatents` is the noise, float32 [1, C, h, w]; `negative` is nil without guidance.
  public struct Conditioned: Sendable {
    /// What is drawn, with the seed that is used.
    public let settings: GenerationSettings
    /// The steps' noise levels, those that a source leaves out dropped.
    public let schedule: FlowMatchSchedule
    /// The noise, float32 [1, C, h, w].
    public let initialLatents: Tensor
    /// The prompt's embeddings.
    public let positive: TextConditioning
    /// The negative prompt's embeddings; nil without guidance.
    public let negative: TextConditioning?

    /// An event as a run tells it, for previews of views and stand-ins of tests.
    public init(
      settings: GenerationSettings, schedule: FlowMatchSchedule, initialLatents: Tensor, positive: TextConditioning,
      negative: TextConditioning? = nil
    ) {
      self.settings = settings
      self.schedule = schedule
      self.initialLatents = initialLatents
      self.positive = positive
      self.negative = negative
    }
  }

  /// Step `number` (from 1) of `steps`; `latents`, float32 [1, C, h, w], are those after it.
  public struct Step: Sendable {
    /// The picture's place among those of its run, from 0.
    public let imageIndex: Int
    /// From 1.
    public let number: Int
    /// How many steps the picture takes.
    public let steps: Int
    /// The noise level that the step began at.
    public let sigma: Float
    /// What the model was told of it: 1000·σ.
    public let timestep: Float
    /// After the step: float32 [1, C, h, w] in model space.
    public let latents: Tensor
    /// What the step took, without loading models.
    public let duration: Duration
    /// What the picture is likely to become, of twice the latent's width and height: the step's guess of the latents without
    /// noise, in colours. Nil where the request wants none.
    public let preview: RGBImage?

    /// An event as a run tells it, for previews of views and stand-ins of tests.
    public init(
      imageIndex: Int = 0, number: Int, steps: Int, sigma: Float, timestep: Float, latents: Tensor,
      duration: Duration = .zero, preview: RGBImage? = nil
    ) {
      self.imageIndex = imageIndex
      self.number = number
      self.steps = steps
      self.sigma = sigma
      self.timestep = timestep
      self.latents = latents
      self.duration = duration
      self.preview = preview
    }
  }
}
