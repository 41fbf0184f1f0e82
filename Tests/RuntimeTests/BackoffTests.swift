import NebulaCore
import Testing

@testable import NebulaRuntime

@Suite struct BackoffTests {
  private let passing = NebulaError("model.busy", "Busy.", remedy: "", disposition: .retry(after: nil))
  private struct Unknown: Error {}

  @Test func ceilingDoublesAndIsBounded() {
    var since: Duration?
    var backoff = Backoff(patience: .seconds(3600))
    var ceilings: [UInt64] = []
    for _ in 0..<9 {
      _ = backoff.after(passing, since: &since, now: .zero) { range in
        ceilings.append(range.upperBound - 1)
        return range.lowerBound
      }
    }
    #expect(ceilings == [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000])
  }

  @Test func givesUpAfterItsPatienceNotBefore() {
    var since: Duration?
    var backoff = Backoff(patience: .seconds(60))
    #expect(backoff.after(passing, since: &since, now: .seconds(100)) { _ in 7 } == .wait(.milliseconds(7)))
    #expect(backoff.after(passing, since: &since, now: .seconds(159)) { _ in 7 } == .wait(.milliseconds(7)))
    #expect(backoff.after(passing, since: &since, now: .seconds(160)) { _ in 7 } == .giveUp)
    since = nil
    backoff.reset()
    #expect(backoff.after(passing, since: &since, now: .seconds(161)) { _ in 7 } == .wait(.milliseconds(7)))
  }

  @Test func waitsAsLongAsTheOtherSideAsked() {
    var since: Duration?
    var backoff = Backoff(patience: .seconds(60))
    let asked = NebulaError("model.busy", "Busy.", remedy: "", disposition: .retry(after: .seconds(9)))
    #expect(backoff.after(asked, since: &since, now: .zero) { _ in 7 } == .wait(.seconds(9)))
  }

  @Test func stopsAtOnceOnWhatCannotPass() {
    var since: Duration?
    var backoff = Backoff(patience: .seconds(60))
    let final = NebulaError("model.wrong", "Wrong.", remedy: "")
    #expect(backoff.after(final, since: &since, now: .zero) { _ in 7 } == .giveUp)
    #expect(backoff.after(CancellationError(), since: &since, now: .zero) { _ in 7 } == .giveUp)
  }

  @Test func triesUnknownErrorsWithinTheSameBound() {
    var since: Duration?
    var backoff = Backoff(patience: .seconds(60))
    #expect(backoff.after(Unknown(), since: &since, now: .zero) { _ in 7 } == .wait(.milliseconds(7)))
    #expect(backoff.after(Unknown(), since: &since, now: .seconds(61)) { _ in 7 } == .giveUp)
  }
}
