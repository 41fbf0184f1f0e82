/// Since when the run fails, with no proof in between that it works: what `retry_for` is measured against.
///
/// Proof is a receipt, or a quiet moment of a session that has lasted a while. A failure proves nothing, however late in
/// its session it comes: what failed may have been tried again inside a connector all that time.
struct FailureStreak: Sendable {
  /// A session without a failure this long is steady. A shorter one may only not have come to what fails.
  static let steadyTime: Duration = .seconds(60)

  /// The first of the failures; commits and sessions share one streak, and so one patience.
  var since: Duration?
  /// When the session had recovered and its source answered.
  private var upSince: Duration?

  /// A session begins: it has to show anew that it lasts.
  mutating func sessionStarted() { upSince = nil }

  /// A batch came.
  mutating func sourceAnswered(now: Duration) { upSince = upSince ?? now }

  /// An epoch has its receipt.
  mutating func receiptStored() { since = nil }

  /// There is nothing to read and nothing under way: a source that has nothing to say will have no receipt to show, and
  /// its old failure is no reason to end at the next one.
  mutating func wasQuiet(now: Duration) {
    if let upSince, now - upSince >= Self.steadyTime { since = nil }
  }
}
