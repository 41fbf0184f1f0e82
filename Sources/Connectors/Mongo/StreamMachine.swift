internal import NebulaCore

/// Decides what the reader of a change stream does next; it never touches a socket or a clock.
///
/// One attempt follows each error at once, the next ones after a back-off with full jitter; `attempts` in a row
/// without an answer between them give up, and the runtime goes on from the last receipt. An event over 16 MB ends the
/// server's cursor (10334): from then on events come one by one, so that the one at fault is known, and it is looked
/// at through a projection that leaves its large fields out.
struct StreamMachine {
  /// How events are asked for.
  enum Mode: Sendable, Hashable {
    case batches
    /// One at a time, at most so many more.
    case single(left: Int)
    /// One, without its large fields, to reject it.
    case skim
  }
  /// What to do.
  enum Step: Sendable, Hashable {
    case open(StreamStart, skim: Bool, after: Duration)
    case more(batchSize: Int)
  }
  /// What an error means.
  enum Verdict: Sendable, Hashable { case again, lost, stop }

  private let batchSize: Int
  private(set) var start: StreamStart
  private(set) var mode = Mode.batches
  private(set) var isOpen = false
  private var patience = Patience()
  private var skims = 0
  private var delay = Duration.zero

  init(from start: StreamStart, batchSize: Int) {
    self.start = start
    self.batchSize = batchSize
  }

  var step: Step {
    guard isOpen else { return .open(start, skim: mode == .skim, after: delay) }
    return .more(batchSize: mode == .batches ? batchSize : 1)
  }

  /// The cursor is open; `token` is where the server says that it stands.
  mutating func opened(at token: StreamStart?) {
    isOpen = true
    delay = .zero
    if let token, mode != .skim { start = token }
  }

  /// An answer came. `token` is the place right after the last whole event in it.
  mutating func received(events: Int, through token: StreamStart?, isClosed: Bool) {
    patience.succeeded()
    if let token { start = token }
    if isClosed { isOpen = false }
    guard case .single(let left) = mode else { return }
    mode = events == 0 || left <= 1 ? .batches : .single(left: left - 1)
    if mode == .batches { skims = 0 }
  }

  /// The event that is too large was found and rejected; go on after it.
  mutating func skimmed(through token: StreamStart) {
    start = token
    patience.succeeded()
    skims = 0
    mode = .batches
    isOpen = false
  }

  /// Nothing was there to skim: the event may be smaller by now.
  mutating func skimmedNothing() {
    mode = .single(left: batchSize)
    isOpen = false
  }

  /// Something failed, while opening or reading.
  mutating func failed(_ failure: MongoFailure, random: (Range<UInt64>) -> UInt64) -> Verdict {
    isOpen = false
    if failure.isPositionLost { return .lost }
    if failure.isTooLarge { return tooLarge() }
    guard failure.isResumable else { return .stop }
    guard let wait = patience.failed(random: random) else { return .stop }
    delay = wait
    return .again
  }

  private mutating func tooLarge() -> Verdict {
    switch mode {
    case .batches: mode = .single(left: batchSize)
    case .single:
      skims += 1
      mode = .skim
    case .skim: return .stop
    }
    delay = .zero
    return skims > 3 ? .stop : .again
  }
}

/// Counts failures in a row: the first is followed by an attempt at once, the next ones by a back-off with full jitter.
struct Patience: Sendable {
  static let attempts = 6
  private var failures = 0

  /// How long to wait before the next attempt; nil when there is none left.
  mutating func failed(random: (Range<UInt64>) -> UInt64) -> Duration? {
    failures += 1
    guard failures < Self.attempts else { return nil }
    return failures == 1 ? .zero : .milliseconds(Int64(random(0..<min(5000, 100 << UInt64(failures)))))
  }
  mutating func succeeded() { failures = 0 }
}
