internal import FoundationEssentials
internal import NebulaCore

/// The rows of a state file; every method runs inside a transaction of its caller.
struct StateTable {
  let database: SQLite

  /// One pipeline.
  struct Row {
    var identity: PipelineIdentity?
    var generation: Int64
    var highest: EpochID
    var holder: LeaseHolder?
    var acquired: Int64?
    var expires: Int64?
    var checkpoint: Checkpoint?
    var pin: Pin?
  }

  /// The row of `pipeline`, or nil.
  func row(_ pipeline: String) throws(NebulaError) -> Row? {
    var found: Row?
    try database.run(
      """
      SELECT identity, generation, highest_generation, highest_sequence, holder, acquired_at, expires_at, checkpoint, pin
      FROM pipelines WHERE name = ?
      """, [.text(pipeline)]
    ) { row throws(NebulaError) in
      found = Row(
        identity: try decode(row.text(0)), generation: row.number(1) ?? 0,
        highest: EpochID(generation: UInt64(row.number(2) ?? 0), sequence: UInt64(row.number(3) ?? 0)),
        holder: try decode(row.text(4)), acquired: row.number(5), expires: row.number(6),
        checkpoint: try decode(row.text(7)), pin: try decode(row.text(8)))
    }
    return found
  }

  /// The row of a lease that still counts (Invariant 7a); throws `state.fenced` for any other.
  func require(_ lease: Lease) throws(NebulaError) -> Row {
    guard let row = try row(lease.pipeline) else { throw fenced(lease, "its state is gone") }
    guard row.generation == Int64(clamping: lease.generation) else {
      throw fenced(lease, "generation \(row.generation) has taken over")
    }
    return row
  }

  /// All pipelines of the file.
  func names() throws(NebulaError) -> [String] {
    var names: [String] = []
    try database.run("SELECT name FROM pipelines ORDER BY name", []) { row throws(NebulaError) in
      names.append(row.text(0) ?? "")
    }
    return names
  }

  /// Intents without a receipt, oldest first: ids rise.
  func intents(_ pipeline: String) throws(NebulaError) -> [Intent] {
    var intents: [Intent] = []
    try database.run(
      "SELECT body FROM intents WHERE pipeline = ? ORDER BY generation, sequence", [.text(pipeline)]
    ) { row throws(NebulaError) in if let intent: Intent = try decode(row.text(0)) { intents.append(intent) } }
    return intents
  }

  // MARK: - The lease

  func take(
    _ pipeline: String, generation: Int64, identity: PipelineIdentity, holder: LeaseHolder, at now: Int64,
    until expires: Int64
  ) throws(NebulaError) {
    try database.run(
      """
      INSERT INTO pipelines (name, identity, generation, holder, acquired_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (name) DO UPDATE SET identity = excluded.identity, generation = excluded.generation,
        holder = excluded.holder, acquired_at = excluded.acquired_at, expires_at = excluded.expires_at
      """,
      [
        .text(pipeline), .text(try Stored.encode(identity)), .number(generation), .text(try Stored.encode(holder)),
        .number(now), .number(expires),
      ])
  }

  /// Prolongs a lease; one that was superseded or given back throws `state.fenced`.
  func renew(_ lease: Lease, _ holder: LeaseHolder, until expires: Int64) throws(NebulaError) {
    guard try require(lease).holder == holder else { throw fenced(lease, "the lease is not ours any more") }
    try database.run("UPDATE pipelines SET expires_at = ? WHERE name = ?", [.number(expires), .text(lease.pipeline)])
  }

  func leave(_ pipeline: String) throws(NebulaError) {
    try database.run(
      "UPDATE pipelines SET holder = NULL, acquired_at = NULL, expires_at = NULL WHERE name = ?", [.text(pipeline)])
  }

  // MARK: - The state

  func add(_ intent: Intent, to pipeline: String) throws(NebulaError) {
    let (generation, sequence) = intent.id.columns
    try database.run(
      "INSERT INTO intents (pipeline, generation, sequence, body) VALUES (?, ?, ?, ?)",
      [.text(pipeline), generation, sequence, .text(try Stored.encode(intent))])
    try database.run(
      "UPDATE pipelines SET pin = NULL, highest_generation = ?, highest_sequence = ? WHERE name = ?",
      [generation, sequence, .text(pipeline)])
  }

  func change(_ intent: Intent, of pipeline: String) throws(NebulaError) {
    let (generation, sequence) = intent.id.columns
    try database.run(
      "UPDATE intents SET body = ? WHERE pipeline = ? AND generation = ? AND sequence = ?",
      [.text(try Stored.encode(intent)), .text(pipeline), generation, sequence])
  }

  func remove(_ id: EpochID, from pipeline: String) throws(NebulaError) {
    let (generation, sequence) = id.columns
    try database.run(
      "DELETE FROM intents WHERE pipeline = ? AND generation = ? AND sequence = ?",
      [.text(pipeline), generation, sequence])
  }

  func set(_ checkpoint: Checkpoint, of pipeline: String) throws(NebulaError) {
    try database.run(
      "UPDATE pipelines SET checkpoint = ? WHERE name = ?", [.text(try Stored.encode(checkpoint)), .text(pipeline)])
  }

  func set(_ pin: Pin, of pipeline: String) throws(NebulaError) {
    try database.run("UPDATE pipelines SET pin = ? WHERE name = ?", [.text(try Stored.encode(pin)), .text(pipeline)])
  }

  /// As many digits as an epoch's name has for it.
  private static let pastEverySequence: Int64 = 9_999_999_999

  /// Removes everything but the name and the generation. Whatever epochs a destination has seen, the state is no older
  /// copy from now on: it was asked to begin again.
  func clear(_ pipeline: String, generation: Int64) throws(NebulaError) {
    try database.run("DELETE FROM intents WHERE pipeline = ?", [.text(pipeline)])
    try database.run(
      """
      UPDATE pipelines SET identity = NULL, generation = ?, holder = NULL, acquired_at = NULL, expires_at = NULL,
        checkpoint = NULL, pin = NULL, highest_generation = ?, highest_sequence = ? WHERE name = ?
      """, [.number(generation), .number(generation), .number(Self.pastEverySequence), .text(pipeline)])
  }

  // MARK: - The history

  func record(_ kind: String, _ intent: Intent, _ lease: Lease, _ now: Int64) throws(NebulaError) {
    // An epoch that only moved the position would fill the history of a quiet pipeline with nothing.
    guard intent.read > 0 || kind != "intent" else { return }
    try record(kind, at: intent.id, try Stored.encode(EpochSummary(intent)), lease, now)
  }

  func record(_ kind: String, _ checkpoint: Checkpoint, _ lease: Lease, _ now: Int64) throws(NebulaError) {
    guard checkpoint.intent.read > 0 else { return }
    try record(kind, at: checkpoint.receipt.id, try Stored.encode(checkpoint.receipt), lease, now)
  }

  func record(
    _ kind: String, at id: EpochID, _ body: String, _ lease: Lease, _ now: Int64
  ) throws(NebulaError) {
    let (generation, sequence) = id.columns
    try database.run(
      "INSERT INTO history (pipeline, at, lease, kind, generation, sequence, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
      [
        .text(lease.pipeline), .number(now), .number(Int64(clamping: lease.generation)), .text(kind), generation,
        sequence, .text(body),
      ])
  }

  func wasDropped(_ id: EpochID, _ pipeline: String) throws(NebulaError) -> Bool {
    let (generation, sequence) = id.columns
    var found = false
    try database.run(
      "SELECT 1 FROM history WHERE pipeline = ? AND generation = ? AND sequence = ? AND kind = 'dropped' LIMIT 1",
      [.text(pipeline), generation, sequence]
    ) { _ throws(NebulaError) in found = true }
    return found
  }

  /// Puts all that is stored of a pipeline into its history, whole, before a reset.
  func archive(_ pipeline: String, _ row: Row, at now: Int64) throws(NebulaError) {
    let lease = Lease(pipeline: pipeline, generation: UInt64(row.generation))
    let intents = try intents(pipeline)
    for intent in intents { try record("reset_intent", at: intent.id, try Stored.encode(intent), lease, now) }
    if let pin = row.pin { try record("reset_pin", at: row.highest, try Stored.encode(pin), lease, now) }
    if let last = row.checkpoint {
      try record("reset_checkpoint", at: last.receipt.id, try Stored.encode(last), lease, now)
    }
    try record(
      "reset", at: row.highest, try row.identity.map { i throws(NebulaError) in try Stored.encode(i) } ?? "{}", lease,
      now)
  }

  /// The newest `limit` entries of a pipeline's history, newest first.
  func history(_ pipeline: String, limit: Int) throws(NebulaError) -> [StateSnapshot.Event] {
    var events: [StateSnapshot.Event] = []
    try database.run(
      "SELECT at, kind, generation, sequence, body FROM history WHERE pipeline = ? ORDER BY id DESC LIMIT ?",
      [.text(pipeline), .number(Int64(limit))]
    ) { row throws(NebulaError) in
      let id = EpochID(generation: UInt64(row.number(2) ?? 0), sequence: UInt64(row.number(3) ?? 0))
      events.append(.init(at: row.number(0) ?? 0, kind: row.text(1) ?? "", epoch: id, body: row.text(4) ?? ""))
    }
    return events
  }

  private func decode<Value: Codable>(_ text: String?) throws(NebulaError) -> Value? {
    guard let text else { return nil }
    return try Stored<Value>.decode(text, from: database.path)
  }
}

extension EpochID {
  fileprivate var columns: (generation: SQLite.Value, sequence: SQLite.Value) {
    (.number(Int64(clamping: generation)), .number(Int64(clamping: sequence)))
  }
}

/// What the history keeps of an intent: its manifest and positions are only of use while it is pending.
private struct EpochSummary: Codable {
  let read: UInt64
  let counts: RecordCounts
  let deadLetters: DeadLetterFile?
  init(_ intent: Intent) {
    read = intent.read
    counts = intent.counts
    deadLetters = intent.deadLetters
  }
}
