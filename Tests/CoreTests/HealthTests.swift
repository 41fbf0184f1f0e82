import NebulaCore
import Testing

@Suite struct HealthTests {
  private static let uploads = HealthTopic("uploads")
  private static let lock = HealthTopic("lock", degradedAfter: .seconds(5), unhealthyAfter: .seconds(60))
  private static let queue = HealthTopic("queue", degradedAfter: .seconds(30), unhealthyAfter: nil)
  private static let retries = HealthTopic("retries", fadesAfter: .seconds(100))

  @Test func troubleDegradesAndReliefHeals() {
    var judge = HealthJudge()
    #expect(judge.verdict(at: .zero) == Health())
    judge.trouble(Self.uploads, "uploads fail", at: .seconds(10))
    #expect(judge.verdict(at: .seconds(10)) == Health(.degraded, reasons: ["uploads fail (for 0 s)"]))
    judge.trouble(Self.uploads, "uploads still fail", at: .seconds(22))
    #expect(judge.verdict(at: .seconds(23)) == Health(.degraded, reasons: ["uploads still fail (2 times in 13 s)"]))
    judge.relief(Self.uploads)
    #expect(judge.verdict(at: .seconds(24)) == Health())
  }

  @Test func whatLastsWeighsMore() {
    var judge = HealthJudge()
    judge.trouble(Self.uploads, "uploads fail", at: .seconds(10))
    judge.trouble(Self.uploads, "uploads fail", at: .seconds(60))
    #expect(judge.verdict(at: .seconds(69)).state == .degraded)
    #expect(judge.verdict(at: .seconds(70)).state == .unhealthy)
    // Once it worked, it counts from the beginning.
    judge.relief(Self.uploads)
    judge.trouble(Self.uploads, "uploads fail", at: .seconds(71))
    #expect(judge.verdict(at: .seconds(80)).state == .degraded)
  }

  @Test func usualWaitsAreNobodysBusiness() {
    var judge = HealthJudge()
    judge.trouble(Self.lock, "waiting for the lock", at: .zero)
    judge.trouble(Self.queue, "the queue is full", at: .zero)
    #expect(judge.verdict(at: .milliseconds(4999)) == Health())
    #expect(judge.verdict(at: .seconds(5)).reasons == ["waiting for the lock (for 5 s)"])
    #expect(judge.verdict(at: .seconds(30)).reasons.count == 2)
    let late = judge.verdict(at: .seconds(3600))
    #expect(late.state == .unhealthy && late.reasons.first == "waiting for the lock (for 3600 s)")
    judge.relief(Self.lock)
    #expect(judge.verdict(at: .seconds(3600)).state == .degraded)
  }

  @Test func whatIsNoLongerHeardOfFades() {
    var judge = HealthJudge()
    judge.trouble(Self.retries, "tried again", at: .zero)
    judge.trouble(Self.retries, "tried again", at: .seconds(90))
    #expect(judge.verdict(at: .seconds(189)).state == .unhealthy)
    #expect(judge.verdict(at: .seconds(190)) == Health())
    judge.trouble(Self.retries, "tried again", at: .seconds(200))
    #expect(judge.verdict(at: .seconds(201)) == Health(.degraded, reasons: ["tried again (for 1 s)"]))
  }

  @Test func itReadsAsASentence() {
    #expect("\(Health())" == "healthy")
    #expect("\(Health(.degraded, reasons: ["a", "b"]))" == "degraded: a; b")
    let board = HealthBoard()
    board.trouble(Self.uploads, "uploads fail", at: .zero)
    #expect(board.verdict(at: .zero).state == .degraded)
    board.relief(Self.uploads)
    #expect(board.verdict(at: .zero).state == .healthy)
  }
}
