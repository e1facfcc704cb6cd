import TestSupport
import Testing
import Tintype

/// Recorded from diffusers (tests/data/scripts/make_reference.py).
private struct Row: Decodable {
  let kind: String
  let shift: Double?
  let mu: Double?
  let steps: Int
  let sigmas: [Double]
  let timesteps: [Double]

  var schedule: FlowMatchSchedule {
    FlowMatchSchedule(
      steps: steps, shift: mu.map { .exponential(mu: $0) } ?? .fixed(shift ?? 1),
      spacing: kind == "sd3" ? .trained : .even)
  }
}

@Suite struct FlowMatchScheduleTests {
  @Test func matchesDiffusers() throws {
    let rows = try TestData.decode([Row].self, "schedules.json")
    #expect(Set(rows.map(\.kind)) == ["sd3", "flux-dynamic", "flux-static"])
    for row in rows {
      let schedule = row.schedule
      #expect(schedule.sigmas.count == row.sigmas.count)
      #expect(schedule.timesteps.count == row.timesteps.count)
      for (ours, theirs) in zip(schedule.sigmas, row.sigmas) {
        #expect(abs(Double(ours) - theirs) <= 1e-6, "\(row.kind), \(row.steps) steps")
      }
      for (ours, theirs) in zip(schedule.timesteps, row.timesteps) {
        #expect(abs(Double(ours) - theirs) <= 1e-6 * 1000, "\(row.kind), \(row.steps) steps")
      }
    }
  }

  @Test func oneStepGoesAllTheWay() {
    #expect(FlowMatchSchedule(steps: 1, shift: .fixed(3)).sigmas == [1, 0])
  }

  @Test func fewerStepsThanOneAreOne() {
    #expect(FlowMatchSchedule(steps: -2, shift: .fixed(3)).sigmas == [1, 0])
  }
}
