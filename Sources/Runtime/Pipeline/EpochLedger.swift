internal import NebulaCore

/// The bookkeeping of one session, without effects: what the open epoch holds, when it is to be cut, and the intent
/// that closes it. Only from such an intent, by its receipt, does a position become storable (Invariant 1).
struct EpochLedger: Sendable {
  /// The epoch that records go into.
  struct Open: Sendable {
    let id: EpochID
    /// Where its records start.
    let from: Position?
    /// Where the source resumes after the last batch; nil while that batch ended where no safe boundary lies.
    var through: Position?
    /// All records it answers for.
    var read: UInt64 = 0
    /// Of these: handed to the destination.
    var written: UInt64 = 0
    /// Of these: rejected by the source.
    var rejected: UInt64 = 0
    /// Of these: left out by the source.
    var filtered: UInt64 = 0
    var bytes: UInt64 = 0
    var firstRecord: Duration?
    var lastRecord: Duration?
    var newestEventTime: Int64?
    var schema: RecordSchema?
    /// As the last batch said.
    var isBehind = false
  }

  private(set) var open: Open?
  private(set) var tail: EpochID?
  private let limits: EpochLimits
  private let idleInterval: Duration
  private var position: Position?
  private var pin: Pin?
  private var lastClosed: Duration

  /// A ledger that goes on behind `tail` at `position`; with a pin, its first epoch ends exactly at the pin's end.
  init(
    tail: EpochID?, position: Position?, pin: Pin?, limits: EpochLimits, idleInterval: Duration, now: Duration
  ) {
    self.tail = tail
    self.position = position
    self.pin = pin
    self.limits = limits
    self.idleInterval = idleInterval
    lastClosed = now
  }

  /// The pin that the open epoch fulfils.
  var currentPin: Pin? { pin }

  /// True when `batch` can't go into the open epoch: its columns differ. An error where no epoch may end.
  func mustCut(before batch: RecordBatch) throws(NebulaError) -> Bool {
    guard let open, open.written > 0, batch.count > 0, open.schema != batch.schema else { return false }
    guard open.through != nil, pin == nil else {
      throw NebulaError(
        "pipeline.no_boundary", "The columns change where epoch \(open.id) can't end.",
        remedy: "Report this defect. Nothing is lost: the records are read again.")
    }
    return true
  }

  /// Puts a batch into the open epoch, or into a new one with an id from `newID`.
  mutating func note(_ batch: RecordBatch, now: Duration, newID: () -> EpochID) -> EpochID {
    var epoch = open ?? Open(id: newID(), from: position)
    epoch.through = batch.position
    epoch.read += batch.read
    epoch.written += UInt64(batch.count)
    epoch.rejected += UInt64(batch.rejected.count)
    epoch.filtered += UInt64(batch.filtered)
    epoch.bytes += UInt64(batch.bytes.count)
    epoch.isBehind = batch.isBehind
    if batch.read > 0 {
      epoch.firstRecord = epoch.firstRecord ?? now
      epoch.lastRecord = now
    }
    if batch.count > 0 { epoch.schema = batch.schema }
    if let newest = batch.changes?.eventTimes.max(), newest > .min {
      epoch.newestEventTime = max(newest, epoch.newestEventTime ?? newest)
    }
    open = epoch
    return epoch.id
  }

  /// True when nothing was read since the last epoch, and by the source's word nothing waits to be.
  var isQuiet: Bool { open.map { $0.read == 0 && !$0.isBehind } ?? true }

  /// Whether the open epoch is to be cut now; `ending` when no more batches will come.
  func shouldCut(now: Duration, ending: Bool) -> Bool {
    guard let open, let through = open.through else { return false }
    if let pin { return through == pin.through }
    guard open.read > 0 else { return through != position && (ending || now - lastClosed >= idleInterval) }
    return ending || isFull(open) || isOld(open, now)
  }

  private func isFull(_ epoch: Open) -> Bool {
    limits.records.map { epoch.read >= $0 } ?? false || limits.bytes.map { epoch.bytes >= $0 } ?? false
  }

  private func isOld(_ epoch: Open, _ now: Duration) -> Bool {
    let age = epoch.firstRecord.map { now - $0 } ?? .zero
    let idle = epoch.lastRecord.map { now - $0 } ?? .zero
    return limits.age(isBehind: epoch.isBehind).map { age >= $0 } ?? false || limits.idle.map { idle >= $0 } ?? false
  }

  /// Closes the open epoch with what the destination prepared. Throws when not every record has a fate (Invariant 4).
  mutating func close(
    prepared: PreparedEpoch?, deadLetters: DeadLetterFile?, now: Duration
  ) throws(NebulaError) -> Intent {
    guard let epoch = open, let through = epoch.through else {
      throw NebulaError(
        "pipeline.no_boundary", "An epoch was cut where no position is known.", remedy: "Report this defect.")
    }
    let destination = prepared?.counts ?? RecordCounts()
    let counts = destination + RecordCounts(rejected: epoch.rejected, filtered: epoch.filtered)
    guard destination.total == epoch.written, counts.total == epoch.read,
      counts.rejected == deadLetters?.records ?? 0
    else { throw unaccounted(epoch, counts, deadLetters) }
    let intent = Intent(
      id: epoch.id, predecessor: tail, from: epoch.from, through: through, read: epoch.read, counts: counts,
      deadLetters: deadLetters, prepared: prepared, newestEventTime: epoch.newestEventTime, done: pin?.done ?? [:])
    (open, pin, tail, position, lastClosed) = (nil, nil, epoch.id, through, now)
    return intent
  }

  private func unaccounted(_ epoch: Open, _ counts: RecordCounts, _ dead: DeadLetterFile?) -> NebulaError {
    NebulaError(
      .recordsUnaccounted,
      """
      Epoch \(epoch.id): \(epoch.read) records read, \(counts.committed) to be committed, \(counts.rejected) rejected \
      (\(dead?.records ?? 0) in the dead letters), \(counts.filtered) filtered.
      """,
      remedy: "Report this defect. Nothing is lost: the position was not moved.")
  }
}
