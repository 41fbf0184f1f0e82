internal import NebulaCore

/// The merge point: takes from copy and stream, and stamps the position in the order in which batches leave.
struct MongoRecordStream: RecordStream {
  private let core: MongoSource.Core
  private var session: ReadingSession
  private var position: MongoPosition
  private var lag = RecordBatch.Lag()
  /// Until the batch with which everything is copied has left.
  private var isCopying: Bool
  private var isFirst = true
  /// All events up to this cluster time have been delivered.
  private var settled: UInt64?
  private var isOver = false
  /// Crash points that the next call passes: what they speak of has been handed over by then.
  private var passing: [StaticString] = []
  /// How often the position was lost since everything was copied.
  private var restarts = 0

  init(_ core: MongoSource.Core, _ opening: Opening) {
    self.core = core
    position = opening.position
    isCopying = opening.isCopying
    session = core.start(position)
  }

  mutating func next() async throws -> RecordBatch? {
    for point in passing { core.context.crash.pass(point) }
    passing = []
    try Task.checkCancellation()
    if isOver { return nil }
    if isFirst {
      // T0 and the plan stand in the first intent, before any row does.
      isFirst = false
      return idle(isAnswer: false)
    }
    if core.isCaughtUp(settled), position.isCopied {
      isOver = true
      session.handoff.close()
      return nil
    }
    do {
      return try batch(try await session.handoff.next(within: .seconds(1), core.context.clock))
    } catch ReaderEnd.failed(let error) {
      session.handoff.close()
      throw error
    } catch let error as NebulaError {
      session.handoff.close()
      throw error
    } catch ReaderEnd.lost(let error) {
      session.handoff.close()
      try await restart(error)
      return try await next()
    }
  }

  private mutating func batch(_ delivery: Delivery?) throws(NebulaError) -> RecordBatch {
    switch delivery {
    // The readers may be trying again what failed.
    case nil: return idle(isAnswer: false)
    case .stream(let events):
      if let renamed = events.draft.flatMap(position.cutShort) { throw .renamed(renamed) }
      position.stream = events.through
      position.sequence = events.sequence
      // A copy that never ends because the oplog is too small is no progress.
      if position.isCopied { restarts = 0 }
      if let time = events.settled { settled = max(settled ?? 0, time) }
      release()
      return batch(events.draft, events.newest)
    case .rows(let rows):
      if let key = rows.lastKey { position.ranges[rows.range]?.cursor = key }
      if rows.isDone { position.ranges[rows.range]?.end = rows.newest ?? 0 }
      if rows.draft != nil { passing.append("mid-snapshot") }
      release()
      return batch(rows.draft, rows.newest)
    }
  }

  private mutating func release() {
    guard !position.isCopied, let settled else { return }
    position.release(settled)
    guard position.isCopied else { return }
    passing.append("snapshot-handoff")
    core.context.log.info("mongo: everything is copied; following the change stream")
  }

  private mutating func batch(_ draft: Draft?, _ newest: UInt64?) -> RecordBatch {
    if let newest { lag.newest = max(lag.newest ?? 0, Int64(newest >> 32) * 1000) }
    return draft?.batch(at: position.encoded(), lag: lag, copy: phase()) ?? idle(isAnswer: true)
  }

  private mutating func idle(isAnswer: Bool) -> RecordBatch {
    .idle(at: position.encoded(), lag: lag, copy: phase(), isAnswer: isAnswer)
  }

  /// What the batch at `position` says of the copy: its end stands on one batch only.
  private mutating func phase() -> CopyPhase {
    guard isCopying else { return .none }
    isCopying = !position.isCopied
    return isCopying ? .underway(since: position.copyStart) : .ended(since: position.copyStart)
  }

  /// The server has forgotten the stream's place: does what the user decided (Invariant 5).
  private mutating func restart(_ error: NebulaError) async throws {
    restarts += 1
    let policy = core.settings.options.onPositionLost
    guard policy != .fail, restarts <= 3 else { throw error }
    let what =
      policy == .resnapshot
      ? "everything is copied again; documents deleted in between are not reported"
      : "going on from now; WHAT HAPPENED IN BETWEEN IS LOST"
    core.context.log.warning(
      "mongo: the position is lost (\(error.native ?? error.message)), on_position_lost is "
        + "\(policy.rawValue): \(what)")
    core.context.metrics.add("mongo.positions_lost", 1)
    let opening = try await core.open(from: nil, start: policy == .resnapshot ? .snapshot : .now)
    position = opening.position.following(position, keepingRanges: policy == .fromNow)
    isCopying = opening.isCopying || !position.isCopied
    session = core.start(position)
    isFirst = true
    settled = nil
  }
}

/// The readers of one opened stream; they end when the last reference to this goes.
final class ReadingSession: Sendable {
  let handoff: Handoff
  init(_ handoff: Handoff) { self.handoff = handoff }
  deinit { handoff.close() }
}
