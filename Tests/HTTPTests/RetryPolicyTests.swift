import Foundation
import NebulaCore
import NebulaHTTP
import Synchronization
import Testing

@Suite struct RetryPolicyTests {
  let policy = RetryPolicy(maxAttempts: 5, maxElapsed: .seconds(60), base: .seconds(1), cap: .seconds(5))

  func wait(
    _ attempt: Int, elapsed: Duration = .zero, _ failure: RetryPolicy.Failure = .server, after: Duration? = nil,
    random: Double = 1
  ) -> Duration? {
    let decision = policy.decide(
      attempt: attempt, elapsed: elapsed, failure: failure, retryAfter: after, random: random)
    if case .retry(let wait) = decision { return wait } else { return nil }
  }

  @Test func limitsDoubleUpToTheCap() {
    #expect((1...4).map { wait($0) } == [.seconds(1), .seconds(2), .seconds(4), .seconds(5)])
    #expect(wait(3, random: 0) == .zero && wait(3, random: 0.5) == .seconds(2))
    #expect(wait(3, .throttled, random: 0) == .seconds(2))
  }

  @Test func givesUp() {
    #expect(wait(5) == nil)
    #expect(wait(1, .permanent) == nil)
    #expect(wait(1, elapsed: .seconds(60)) == nil)
    #expect(wait(1, elapsed: .seconds(59)) == .seconds(1))
    #expect(RetryPolicy.never.decide(attempt: 1, elapsed: .zero, failure: .notSent, random: 0) == .giveUp)
  }

  @Test func retryAfterIsKept() {
    #expect(wait(1, .throttled, after: .seconds(10), random: 0) == .seconds(10))
    #expect(wait(1, .throttled, after: .seconds(10), random: 1) == .seconds(11))
    #expect(wait(4, .throttled, after: .seconds(1), random: 1) == .seconds(5))
    #expect(wait(1, .throttled, after: .seconds(61), random: 0) == nil)
  }

  @Test func retryAfterIsReadAsSecondsAndAsDate() {
    func read(_ headers: HTTPHeaders) -> Duration? { HTTPResponse(status: 503, headers: headers).retryAfter }
    #expect(read(["retry-after": "3"]) == .seconds(3))
    #expect(
      read(["Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT", "Date": "Sun, 06 Nov 1994 08:49:30 GMT"]) == .seconds(7))
    #expect(read(["Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT", "Date": "Mon, 07 Nov 1994 08:49:30 GMT"]) == .zero)
    #expect(read(["Retry-After": "soon"]) == nil && read(["Retry-After": "-1"]) == nil && read([:]) == nil)
    #expect(HTTPDate("Sun, 06 Nov 1994 08:49:37 GMT")?.seconds == 784_111_777)
  }

  @Test func daysAgreeWithFoundation() throws {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
    for day in stride(from: -100_000, to: 1_000_000, by: 997) {
      let date = CivilDate(daysSince1970: day)
      let parts = calendar.dateComponents(
        [.year, .month, .day], from: Date(timeIntervalSince1970: Double(day) * 86_400))
      if day > -140_000 { #expect(parts.year == date.year && parts.month == date.month && parts.day == date.day) }
      #expect(date.daysSince1970 == day)
    }
  }

  @Test func statuses() {
    #expect(RetryPolicy.Failure(status: 200) == nil)
    #expect(RetryPolicy.Failure(status: 404) == .permanent)
    #expect(RetryPolicy.Failure(status: 501) == .permanent)
    #expect(RetryPolicy.Failure(status: 500) == .server && RetryPolicy.Failure(status: 408) == .server)
    #expect(RetryPolicy.Failure(status: 429) == .throttled && RetryPolicy.Failure(status: 503) == .throttled)
  }

  // MARK: The shell

  final class FakeTime: Sendable {
    let now = Mutex(Duration.zero)
    let waits = Mutex<[Duration]>([])
    var clock: Timekeeper {
      Timekeeper(
        monotonic: { self.now.withLock { $0 } }, wall: { 0 },
        sleep: { wait in
          self.now.withLock { $0 += wait }
          self.waits.withLock { $0.append(wait) }
        })
    }
  }

  @Test func triesAgainUntilDone() async throws {
    let time = FakeTime()
    let retrier = Retrier(policy: policy, clock: time.clock, random: { $0.upperBound - 1 })
    let lost = NebulaError(.httpConnectionLost, "", remedy: "", disposition: .retry(after: nil))
    let attempts = try await retrier.run { attempt -> Retrier.Outcome<Int> in
      switch attempt {
      case 1: throw lost
      case 2: .failed(lost, .throttled, retryAfter: .seconds(9))
      default: .done(attempt)
      }
    }
    #expect(attempts == 3)
    #expect(time.waits.withLock { $0.count } == 2)
    #expect(time.waits.withLock { $0[1] } >= .seconds(9))
  }

  @Test func givesUpWithTheLastError() async {
    let retrier = Retrier(policy: policy, clock: FakeTime().clock)
    let lost = NebulaError(.httpConnectionLost, "", remedy: "", disposition: .retry(after: nil))
    let tried = Mutex(0)
    await #expect(throws: lost) {
      try await retrier.run { attempt -> Retrier.Outcome<Int> in
        tried.withLock { $0 = attempt }
        throw lost
      }
    }
    #expect(tried.withLock { $0 } == 5)
    await #expect(throws: CancellationError.self) {
      try await retrier.run { _ -> Retrier.Outcome<Int> in throw CancellationError() }
    }
    await #expect(throws: NebulaError.self) { try await retrier.run { _ -> Retrier.Outcome<Int> in .adjusted } }
  }
}
