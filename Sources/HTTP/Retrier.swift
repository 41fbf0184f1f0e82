public import NebulaCore

/// Carries out what a `RetryPolicy` decides: waits, and tries again.
public struct Retrier: Sendable {
  /// What one attempt came to.
  public enum Outcome<Value: Sendable>: Sendable {
    /// It worked.
    case done(Value)
    /// It failed and may be tried again; thrown when the policy gives up.
    case failed(NebulaError, RetryPolicy.Failure, retryAfter: Duration?)
    /// It is known what to change: try again at once, without waiting.
    case adjusted
  }
  /// When to try again.
  public let policy: RetryPolicy
  private let clock: Timekeeper
  private let random: @Sendable (Range<UInt64>) -> UInt64
  private let onRetry: (@Sendable (NebulaError) -> Void)?

  /// Makes one; `onRetry` is told of each failure that is tried again.
  public init(
    policy: RetryPolicy, clock: Timekeeper,
    random: @escaping @Sendable (Range<UInt64>) -> UInt64 = { UInt64.random(in: $0) },
    onRetry: (@Sendable (NebulaError) -> Void)? = nil
  ) {
    self.onRetry = onRetry
    self.policy = policy
    self.clock = clock
    self.random = random
  }

  /// Runs `attempt` (with its number, from 1) until it is done or the policy gives up. An `http.…` error that it
  /// throws counts as a failed attempt; every other error ends it. At most 3 adjustments are made.
  public func run<Value: Sendable>(
    _ attempt: (Int) async throws -> Outcome<Value>
  ) async throws -> Value {
    let start = clock.monotonic()
    var number = 1
    var adjustments = 0
    while true {
      let error: NebulaError
      let failure: RetryPolicy.Failure
      var retryAfter: Duration?
      do {
        switch try await attempt(number) {
        case .done(let value): return value
        case .adjusted where adjustments < 3:
          adjustments += 1
          continue
        case .adjusted:
          throw NebulaError(
            .httpFailed, "The other side asks for the same change again and again.", remedy: "Check the configuration.")
        case .failed(let reported, let kind, let wait): (error, failure, retryAfter) = (reported, kind, wait)
        }
      } catch let thrown as NebulaError where thrown.code.rawValue.hasPrefix("http.") && thrown.isRetryable {
        (error, failure) = (thrown, RetryPolicy.Failure(thrown))
      }
      let elapsed = clock.monotonic() - start
      switch policy.decide(
        attempt: number, elapsed: elapsed, failure: failure, retryAfter: retryAfter, random: fraction())
      {
      case .giveUp: throw error
      case .retry(let wait):
        onRetry?(error)
        try await clock.sleep(wait)
      }
      number += 1
    }
  }

  private func fraction() -> Double { Double(random(0..<1 << 53)) / Double(1 << 53) }
}
