import Foundation
import Testing

@testable import MongoConnector

@Suite struct HandoffTests {
  /// A test can't set the machine's clock: this shows by which one naps are measured, and that they end by it.
  @Test func napsAreMeasuredByAClockThatNobodySets() {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    let later = Handoff.time(after: .seconds(2))
    #expect((now.tv_sec + 2...now.tv_sec + 32).contains(later.tv_sec))
    let start = ContinuousClock.now
    Handoff(depth: 1).nap(.milliseconds(30))
    #expect((Duration.milliseconds(30)..<Duration.seconds(30)).contains(ContinuousClock.now - start))
  }
}
