/// One run's denoiser: guided velocities of a latent. The modulation of every step is computed before the loop, once
/// for each entry of the schedule and each prompt.
///
/// Shape key: B the packages' batch (1 or 2), rows the prompts of a run ([negative, positive] under guidance, else
/// [positive]; a model that embeds the guidance scale has one row), R×W modulation rows, C, h, w the latent, J the context's width, P the pooled width.
struct Denoiser: Sendable {
  private let bundle: BundleDescriptor
  private let models: ComponentModels
  private let plan: GenerationPlan
  /// Row numbers in groups of B; the last row fills up an incomplete group.
  private let groups: [[Int]]
  /// One for each group: [B, L + T, J]
  private let contexts: [Tensor]
  /// [step][group]: [B, R, W]
  private let modulation: [[Tensor]]

  init(
    models: ComponentModels, plan: GenerationPlan, schedule: FlowMatchSchedule,
    rows: [TextConditioning], recorder: RunRecorder
  ) async throws {
    let bundle = plan.bundle
    let batch = try bundle.component(.denoiser).input(BundleNames.latent)?.shape.first ?? 1
    let groups = Self.groups(rows: rows.count, batch: batch)
    self.bundle = bundle
    self.models = models
    self.plan = plan
    self.groups = groups
    contexts = try groups.map { group in try stacked(group.map { rows[$0].context }) }
    let pooled = try groups.map { group in try stacked(group.map { rows[$0].pooled }) }
    let embedsGuidance = try bundle.component(.modulation).input(BundleNames.guidanceFeatures) != nil
    let guidance = Float(plan.settings.guidanceScale)
    var modulation: [[Tensor]] = []
    for timestep in schedule.timesteps {
      var row: [Tensor] = []
      for (group, pooled) in zip(groups, pooled) {
        var inputs = [
          BundleNames.timestepFeatures: try Sinusoid.features(timestep: timestep, rows: group.count),
          BundleNames.pooled: pooled,
        ]
        if embedsGuidance {
          inputs[BundleNames.guidanceFeatures] = try Sinusoid.features(guidanceScale: guidance, rows: group.count)
        }
        let outputs = try await models.run(.modulation, inputs, plan: plan, recorder: recorder)
        guard let rows = outputs[BundleNames.modulation] else {
          throw PipelineError.featureMismatch(
            component: .modulation, kind: "outputs", listed: [BundleNames.modulation], found: outputs.keys.sorted())
        }
        row.append(rows)
      }
      modulation.append(row)
    }
    self.modulation = modulation
  }

  /// The guided velocity [1, C, h, w] of `latents` [1, C, h, w] at a step of the schedule, float32:
  /// v = v_negative + g·(v_positive − v_negative).
  func velocity(_ latents: Tensor, step: Int, recorder: RunRecorder) async throws -> [Float] {
    var found: [Int: [Float]] = [:]
    for (index, group) in groups.enumerated() {
      let inputs = [
        BundleNames.latent: try stacked(group.map { _ in latents }), BundleNames.context: contexts[index],
        BundleNames.modulation: modulation[step][index],
      ]
      let outputs = try await models.run(.denoiser, inputs, plan: plan, recorder: recorder)
      let tensor = try outputs.float32(BundleNames.velocity, .denoiser, bundle)
      let expected = [group.count] + latents.shape.dropFirst()
      guard tensor.shape == expected else {
        throw PipelineError.shapeMismatch(what: "the velocity", expected: expected, actual: tensor.shape)
      }
      let velocity = tensor.floats()
      for (place, row) in group.enumerated() where found[row] == nil {
        found[row] = Array(velocity[place * latents.count..<(place + 1) * latents.count])
      }
    }
    let first = found[0] ?? []
    guard let positive = found[1] else { return first }
    let scale = Float(plan.settings.guidanceScale)
    return zip(first, positive).map { negative, positive in negative + scale * (positive - negative) }
  }

  static func groups(rows: Int, batch: Int) -> [[Int]] {
    let size = max(1, batch)
    return stride(from: 0, to: rows, by: size).map { start in
      (start..<start + size).map { min($0, rows - 1) }
    }
  }
}

/// Tensors of one shape [1, …] as one of shape [n, …], float32.
private func stacked(_ tensors: [Tensor]) throws -> Tensor {
  let shape = tensors.first?.shape.dropFirst() ?? []
  return try Tensor(shape: [tensors.count] + shape, floats: tensors.flatMap { $0.floats() })
}
