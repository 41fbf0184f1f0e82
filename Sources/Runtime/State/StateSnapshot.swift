internal import FoundationEssentials
public import NebulaCore

/// What a state file says of one pipeline, read without taking its lease.
public struct StateSnapshot: Sendable {
  /// One line of the history.
  public struct Event: Sendable, Hashable {
    /// Milliseconds since 1970.
    public var at: Int64
    /// `intent`, `receipt`, `replaced`, `dropped`, `pinned`, `reset` …
    public var kind: String
    /// The epoch.
    public var epoch: EpochID
    /// JSON, as stored.
    public var body: String
  }
  /// Its name.
  public var pipeline: String
  /// What it moves; nil after a reset.
  public var identity: PipelineIdentity?
  /// Of the newest lease.
  public var generation: UInt64
  /// Who holds the lease, by the file; nil when nobody does.
  public var holder: LeaseHolder?
  /// True when the holder is certainly dead.
  public var isHolderGone: Bool
  /// Milliseconds since 1970.
  public var acquired: Int64?
  /// Milliseconds since 1970.
  public var expires: Int64?
  /// Position, intents, pin.
  public var state: PipelineState
  /// The newest entries of the history, newest first.
  public var history: [Event]
}

extension SQLiteStateStore {
  /// Reads all pipelines of the state file at `path` without taking a lease or writing anything. Empty when there is
  /// no file.
  public static func inspect(path: String, history: Int = 20) throws(NebulaError) -> [StateSnapshot] {
    guard let database = try StateSchema.read(path) else { return [] }
    let observer = LeaseHolder.current()
    let table = StateTable(database: database)
    try database.run("BEGIN")  // one consistent view; a read-only connection holds nobody up
    var snapshots: [StateSnapshot] = []
    for name in try table.names() {
      guard let row = try table.row(name) else { continue }
      snapshots.append(
        StateSnapshot(
          pipeline: name, identity: row.identity, generation: UInt64(row.generation), holder: row.holder,
          isHolderGone: row.holder?.isGone(seenBy: observer, startTime: LeaseHolder.startTime) ?? false,
          acquired: row.acquired, expires: row.expires,
          state: PipelineState(last: row.checkpoint, intents: try table.intents(name), pin: row.pin),
          history: try table.history(name, limit: history)))
    }
    return snapshots
  }
}

/// A moment for a person: `2026-11-21T02:03:04Z`.
public func timestamp(_ milliseconds: Int64) -> String {
  Date(timeIntervalSince1970: Double(milliseconds) / 1000).formatted(.iso8601)
}
