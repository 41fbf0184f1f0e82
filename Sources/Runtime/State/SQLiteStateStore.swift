public import NebulaCore

/// Keeps a pipeline's state in one SQLite file (docs/design.md).
///
/// Every write is one transaction that takes the write lock first, then compares the lease's generation and the tail.
/// Each commit is synced to disk before it returns.
public actor SQLiteStateStore: StateStore {
  /// The file's name in a state folder.
  public static let fileName = "state.sqlite"

  private let executor = ThreadExecutor()
  /// Called by the concurrency runtime.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  private let path: String
  private let clock: Timekeeper
  private let leaseDuration: Duration
  private let holder: LeaseHolder
  private let startTime: @Sendable (Int32) -> UInt64?
  private let renews: Bool
  private var opened: SQLite?
  private var keeper: LeaseKeeper?

  /// A store in the file `path`; nothing is touched before its first use. `startTime` says when a process of this
  /// host started; with `renews`, a thread of its own prolongs the lease at a third of its duration.
  public init(
    path: String, clock: Timekeeper, leaseDuration: Duration = .seconds(30), holder: LeaseHolder = .current(),
    startTime: @escaping @Sendable (Int32) -> UInt64? = { LeaseHolder.startTime(of: $0) }, renews: Bool = true
  ) {
    self.path = path
    self.clock = clock
    self.leaseDuration = leaseDuration
    self.holder = holder
    self.startTime = startTime
    self.renews = renews
  }

  deinit {
    keeper?.stop()
    executor.stop()
  }

  // MARK: - The lease

  /// Takes the pipeline with the next generation, unless a live holder's lease runs or something else was moved here.
  public func acquire(_ pipeline: String, identity: PipelineIdentity) async throws -> Lease {
    keeper?.stop()
    let lease = try write { table throws(NebulaError) in
      let row = try table.row(pipeline)
      // The folder also holds dead letters and spool: two pipelines in it would sweep each other's.
      for other in try table.names() where other != pipeline {
        if try table.row(other)?.identity != nil { throw occupied(by: other, pipeline) }
      }
      if let row {
        try refuse(row, pipeline)
        if let stored = row.identity, stored != identity { throw different(stored, identity, pipeline) }
      }
      let generation = (row?.generation ?? 0) + 1
      try table.take(
        pipeline, generation: generation, identity: identity, holder: holder, at: clock.wall(), until: expiry())
      return Lease(
        pipeline: pipeline, generation: UInt64(generation),
        lastEpoch: row?.highest ?? EpochID(generation: 0, sequence: 0))
    }
    if renews { keeper = keep(lease) }
    return lease
  }

  /// Prolongs the lease.
  public func renew(_ lease: Lease) async throws {
    try write { table throws(NebulaError) in try table.renew(lease, holder, until: expiry()) }
  }

  /// Gives the lease back; its generation stays used.
  public func release(_ lease: Lease) async throws {
    keeper?.stop()
    keeper = nil
    try write { table throws(NebulaError) in
      _ = try table.require(lease)
      try table.leave(lease.pipeline)
    }
  }

  /// Forgets where the pipeline is: its rows go into the history, and the next generation is larger than any that a
  /// destination's fence can have seen. Refused while a live holder's lease runs.
  public func reset(_ pipeline: String) async throws {
    let now = clock.wall()
    try write { table throws(NebulaError) in
      guard let row = try table.row(pipeline) else {
        throw NebulaError(
          .stateMissing, "There is no state of a pipeline called '\(pipeline)'.",
          remedy: "Check the name and --state.", at: .init(path: path), exit: .configuration)
      }
      try refuse(row, pipeline)
      try table.archive(pipeline, row, at: now)
      try table.clear(pipeline, generation: max(row.generation, now / 1000 - 1))
    }
  }

  // MARK: - The state

  /// What is stored.
  public func load(_ lease: Lease) async throws -> PipelineState {
    try write { table throws(NebulaError) in
      let row = try table.require(lease)
      return PipelineState(last: row.checkpoint, intents: try table.intents(lease.pipeline), pin: row.pin)
    }
  }

  /// Stores an intent behind the tail, and removes the pin.
  public func store(_ intent: Intent, under lease: Lease) async throws {
    let now = clock.wall()
    try write { table throws(NebulaError) in
      let row = try table.require(lease)
      let intents = try table.intents(lease.pipeline)
      if intents.last == intent || (intents.isEmpty && row.checkpoint?.intent == intent) { return }
      let tail = PipelineState(last: row.checkpoint, intents: intents).tail
      guard intent.predecessor == tail else {
        throw fenced(lease, "epoch \(intent.id) follows \(name(intent.predecessor)), the stored tail is \(name(tail))")
      }
      guard intent.id.generation == lease.generation, intent.id > row.highest else {
        throw fenced(lease, "the id \(intent.id) is not new; the highest so far is \(row.highest)")
      }
      try table.add(intent, to: lease.pipeline)
      try table.record("intent", intent, lease, now)
    }
  }

  /// Puts a receipt in the place of the oldest intent.
  public func store(_ checkpoint: Checkpoint, under lease: Lease) async throws -> DurablePosition {
    let now = clock.wall()
    try write { table throws(NebulaError) in
      let row = try table.require(lease)
      if row.checkpoint == checkpoint { return }
      let oldest = try table.intents(lease.pipeline).first
      guard let oldest, oldest == checkpoint.intent, oldest.predecessor == row.checkpoint?.receipt.id else {
        throw fenced(
          lease, "the receipt is for epoch \(checkpoint.receipt.id), the oldest stored one is \(name(oldest?.id))")
      }
      // The only place where a position is written (Invariant 1); its intent goes in the same transaction.
      try table.set(checkpoint, of: lease.pipeline)
      try table.remove(oldest.id, from: lease.pipeline)
      try table.record("receipt", checkpoint, lease, now)
    }
    return DurablePosition(storing: checkpoint)
  }

  /// Corrects a stored intent: same id, same place, same extent.
  public func replace(_ intent: Intent, under lease: Lease) async throws {
    let now = clock.wall()
    try write { table throws(NebulaError) in
      _ = try table.require(lease)
      let stored = try table.intents(lease.pipeline).first { $0.id == intent.id }
      if stored == intent { return }
      guard
        let stored, stored.predecessor == intent.predecessor, stored.from == intent.from,
        stored.through == intent.through, stored.read == intent.read
      else { throw fenced(lease, "epoch \(intent.id) is not stored with this place and extent") }
      try table.change(intent, of: lease.pipeline)
      try table.record("replaced", intent, lease, now)
    }
  }

  /// Drops an intent and all that follow it, and stores the pin.
  public func drop(from id: EpochID, pin: Pin?, under lease: Lease) async throws {
    let now = clock.wall()
    try write { table throws(NebulaError) in
      let row = try table.require(lease)
      let intents = try table.intents(lease.pipeline)
      guard let place = intents.firstIndex(where: { $0.id == id }) else {
        let isRepeat = try table.wasDropped(id, lease.pipeline) && (pin == nil || row.pin == pin)
        guard isRepeat else { throw fenced(lease, "epoch \(id) is not stored") }
        return
      }
      for intent in intents[place...] {
        try table.remove(intent.id, from: lease.pipeline)
        try table.record("dropped", intent, lease, now)
      }
      if let pin {
        try table.set(pin, of: lease.pipeline)
        try table.record("pinned", at: id, try Stored.encode(pin), lease, now)
      }
    }
  }

  // MARK: - Parts

  private func write<R>(_ body: (StateTable) throws(NebulaError) -> R) throws(NebulaError) -> R {
    let database = try connection()
    return try database.transaction { () throws(NebulaError) in try body(StateTable(database: database)) }
  }

  /// For tests that break the file below the store.
  func withDatabase(_ body: (SQLite) throws(NebulaError) -> Void) throws(NebulaError) { try body(try connection()) }

  private func connection() throws(NebulaError) -> SQLite {
    if let opened { return opened }
    let database = try StateSchema.open(path)
    opened = database
    return database
  }

  private func expiry() -> Int64 { clock.wall() + leaseDuration.wholeMilliseconds }

  /// Throws when someone else may still be at work.
  private func refuse(_ row: StateTable.Row, _ pipeline: String) throws(NebulaError) {
    guard let other = row.holder, other != holder, let expires = row.expires else { return }
    let now = clock.wall()
    guard expires > now, !other.isGone(seenBy: holder, startTime: startTime) else { return }
    throw NebulaError(
      .locked,
      "Pipeline '\(pipeline)' is held by \(other) since \(row.acquired.map(timestamp) ?? "an unknown time").",
      remedy: "Stop that process, or wait: if it is dead, its lease ends in \((expires - now + 999) / 1000) s.",
      at: .init(path: path))
  }

  private func occupied(by other: String, _ pipeline: String) -> NebulaError {
    NebulaError(
      .stateOccupied, "This is the state of pipeline '\(other)', not of '\(pipeline)'.",
      remedy: "Give every pipeline a folder of its own with --state, or write `name: \(other)`.", at: .init(path: path),
      exit: .configuration)
  }

  private func different(_ stored: PipelineIdentity, _ given: PipelineIdentity, _ pipeline: String) -> NebulaError {
    NebulaError(
      .identityChanged,
      "The position of pipeline '\(pipeline)' belongs to something else: \(stored.differences(from: given)).",
      remedy: "Give this pipeline another `name`, or forget the position with `nebula-swift state reset`.",
      at: .init(path: path), exit: .configuration)
  }

  private func keep(_ lease: Lease) -> LeaseKeeper {
    let (path, holder, clock, duration) = (path, holder, clock, leaseDuration)
    return LeaseKeeper(every: leaseDuration / 3) {
      do throws(NebulaError) {
        let database = try SQLite(path)
        try database.run("PRAGMA synchronous = FULL")
        try database.transaction { () throws(NebulaError) in
          try StateTable(database: database).renew(lease, holder, until: clock.wall() + duration.wholeMilliseconds)
        }
        return true
      } catch { return error.isRetryable }  // tried again at the next interval; a lost lease shows at the next write
    }
  }
}

private func name(_ id: EpochID?) -> String { id.map(\.description) ?? "nothing" }

/// The error of a writer that has been superseded.
func fenced(_ lease: Lease, _ seen: String) -> NebulaError {
  NebulaError(
    .fenced, "Pipeline '\(lease.pipeline)', generation \(lease.generation): \(seen).",
    remedy: "Another process has taken the pipeline over, and goes on. This one stops; nothing is lost.")
}

extension PipelineIdentity {
  /// What differs, for a person: `source.collection was 'a', is 'b'`.
  func differences(from given: PipelineIdentity) -> String {
    var found: [String] = []
    func compare(_ what: String, _ old: String?, _ new: String?) {
      if old != new { found.append("\(what) was '\(old ?? "")', is '\(new ?? "")'") }
    }
    compare("source", source, given.source)
    for key in Set(sourceIdentity.keys).union(given.sourceIdentity.keys).sorted() {
      compare("source.\(key)", sourceIdentity[key], given.sourceIdentity[key])
    }
    compare("destination", destination, given.destination)
    for key in Set(destinationIdentity.keys).union(given.destinationIdentity.keys).sorted() {
      compare("destination.\(key)", destinationIdentity[key], given.destinationIdentity[key])
    }
    return found.joined(separator: "; ")
  }
}
