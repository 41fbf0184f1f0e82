/// When a growing file ends. A value, tested without files.
struct RollRule: Sendable, Hashable {
  let maxBytes: Int
  let maxAppends: Int
  /// Whether `size` more bytes go into the next part.
  func rolls(end: Int, appends: Int, adding size: Int) -> Bool {
    end > 0 && (end + size > maxBytes || appends >= maxAppends)
  }
}

/// When a file's time is over. A value, tested without clocks.
struct CloseRule: Sendable, Hashable {
  /// Milliseconds.
  let after: Int64
  /// `until`: when its hour ends; `lastUse`: when it was written last; all in milliseconds since 1970.
  func isDue(until: Int64?, lastUse: Int64, now: Int64) -> Bool {
    guard let until else { return false }
    return now >= until && now - lastUse >= after
  }
  /// How often to look.
  var interval: Duration { .milliseconds(max(1, min(after / 2, 30_000))) }
}

/// What became of one file of an epoch, from its length. Never touches a socket.
///
/// What was appended before the intent was stored lies at the server, so an epoch is carried forward rather than read
/// again: the flush is done once more, and only when the server no longer has the bytes is the file as it was.
struct FileRecovery: Sendable, Hashable {
  let from: Int
  let to: Int
  enum Step: Sendable, Hashable {
    /// Flush to the new length.
    case carryForward
    /// Throw away what was appended: a flush to the length that there is.
    case clear
    case done(Result)
  }
  enum Result: Sendable, Hashable {
    /// All of it is visible.
    case committed
    /// Nothing of it is visible, and nothing can become visible.
    case gone
    case unknown(String)
  }

  /// After the lease was taken: the file has `length` visible bytes; nil when it is not there.
  func step(length: Int?) -> Step {
    guard let length else { return .done(from == 0 ? .gone : .unknown("it is not there, and it had \(from) bytes")) }
    if length == to { return .done(.committed) }
    if length == from { return .carryForward }
    return .done(.unknown("it has \(length) bytes, neither the \(from) from before nor the \(to) after the epoch"))
  }
  /// After the flush to the new length was refused.
  var refused: Step { .clear }
  /// After the clearing flush.
  func cleared(length: Int?) -> Result {
    length == from || (length == nil && from == 0) ? .gone : .unknown("it changed while it was looked at")
  }
}
