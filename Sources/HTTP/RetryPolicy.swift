public import NebulaCore

/// When to try again: a pure value. Clock, randomness and waiting are the caller's.
public struct RetryPolicy: Sendable, Hashable {
  /// What kind of failure it was.
  public enum Failure: Sendable, Hashable {
    /// The request never left: repeating is always safe.
    case notSent
    /// No answer, or a broken one: it may have been carried out. Only for what may be repeated.
    case ambiguous
    /// The other side asks us to slow down (429, 503).
    case throttled
    /// The other side failed (500, 502, 504, 408).
    case server
    /// Repeating doesn't help.
    case permanent
  }
  /// What to do.
  public enum Decision: Sendable, Hashable {
    /// Wait so long, then try again.
    case retry(after: Duration)
    /// Report the failure.
    case giveUp
  }

  /// Attempts in all, the first included.
  public var maxAttempts: Int
  /// No attempt starts later than this after the first.
  public var maxElapsed: Duration
  /// The longest wait before the second attempt; it doubles with each further one.
  public var base: Duration
  /// The longest wait of all, save what `Retry-After` asks for.
  public var cap: Duration

  /// Makes a policy.
  public init(
    maxAttempts: Int = 8, maxElapsed: Duration = .seconds(300), base: Duration = .milliseconds(500),
    cap: Duration = .seconds(30)
  ) {
    self.maxAttempts = maxAttempts
    self.maxElapsed = maxElapsed
    self.base = base
    self.cap = cap
  }
  /// No second attempt.
  public static let never = RetryPolicy(maxAttempts: 1)

  /// The same policy, with no attempt later than `bound`.
  public func lasting(atMost bound: Duration) -> RetryPolicy {
    var policy = self
    policy.maxElapsed = min(maxElapsed, bound)
    return policy
  }

  /// Decides after attempt number `attempt` (counted from 1) failed, `elapsed` after the first began. The wait is
  /// `random` (0..<1) of a limit that doubles, so that many clients don't return at once; a throttled one waits at
  /// least half of it, and `retryAfter` is always kept.
  public func decide(
    attempt: Int, elapsed: Duration, failure: Failure, retryAfter: Duration? = nil, random: Double
  ) -> Decision {
    guard failure != .permanent, attempt < maxAttempts else { return .giveUp }
    let limit = limit(attempt)
    let share = min(max(random, 0), 1)
    var wait = failure == .throttled ? limit * (0.5 + share / 2) : limit * share
    if let retryAfter { wait = max(wait, retryAfter + base * share) }
    return elapsed + wait <= maxElapsed ? .retry(after: wait) : .giveUp
  }

  private func limit(_ attempt: Int) -> Duration {
    var limit = base
    for _ in 1..<max(attempt, 1) where limit < cap { limit *= 2 }
    return min(limit, cap)
  }
}

extension RetryPolicy.Failure {
  /// What an HTTP status says; nil when it is no failure.
  public init?(status: Int) {
    switch status {
    case 200..<300: return nil
    case 429, 503: self = .throttled
    case 408, 500, 502, 504: self = .server
    case 501, 505: self = .permanent
    case 506..<600: self = .server
    default: self = .permanent
    }
  }

  /// What an error of the client says.
  public init(_ error: NebulaError) {
    guard error.isRetryable else {
      self = .permanent
      return
    }
    self = error.httpRequestMayHaveBeenCarriedOut ? .ambiguous : .notSent
  }
}
