internal import NebulaCore

/// Decides, after a failure, how long to wait before the next try: exponential with full jitter, so that many
/// pipelines that lost the same server do not come back together; or that it is time to give up.
struct Backoff: Sendable {
  /// Half a second doubles to half a minute: quick over a hiccup, gentle on a server that is down.
  private static let first: Duration = .milliseconds(500)
  private static let longest: Duration = .seconds(30)

  /// What to do after a failure.
  enum Decision: Sendable, Hashable {
    case wait(Duration)
    case giveUp
  }

  private let patience: Duration
  private var attempts = 0

  /// Gives up when failures went on for `patience`.
  init(patience: Duration) { self.patience = patience }

  /// Something succeeded: the next failure is a first one.
  mutating func reset() { attempts = 0 }

  /// The decision after `error`; `since` is the first of the failures in a row, and set by the first. What is unknown is
  /// tried again like what is known to pass, within the same bound:
  /// it stops the pipeline in the end, and never drops anything (Invariant 4).
  mutating func after(
    _ error: any Error, since: inout Duration?, now: Duration, random: (Range<UInt64>) -> UInt64
  ) -> Decision {
    if error is CancellationError { return .giveUp }
    let known = error as? NebulaError
    if let known, !known.isRetryable { return .giveUp }
    let first = since ?? now
    since = first
    guard now - first < patience else { return .giveUp }
    attempts += 1
    if case .retry(let asked?)? = known?.disposition { return .wait(min(asked, patience)) }
    let ceiling = min(Self.longest, Self.first * (1 << min(attempts - 1, 10)))
    return .wait(.milliseconds(Int64(random(1..<UInt64(max(2, ceiling.wholeMilliseconds + 1))))))
  }
}
