internal import NebulaCore

/// Why a staged file was closed. Further reasons are added here; the summary counts whatever is noted, by name.
enum CloseReason: String, Sendable, CaseIterable {
  /// `max_file_size` is reached.
  case size
  /// `micro_batch_size` is reached.
  case records
  /// Rows that wait for later ones of their key fill its room.
  case keys = "many keys"
  /// `micro_batch_timeout_ms` is over.
  case age
  /// No memory and no spool for more.
  case room = "no room"
  /// Too many tables have one open.
  case crowd = "many tables"
  /// Its epoch was cut.
  case end = "end of epoch"
}

/// What this destination counts and reports, in one place: names of metrics and of troubles.
struct Meter: Sendable {
  let metrics: Metrics
  let health: HealthBoard
  let clock: Timekeeper

  init(_ context: ConnectorContext) {
    metrics = context.metrics
    health = context.health
    clock = context.clock
  }

  /// One of a test that looks at neither.
  init(clock: Timekeeper) {
    (metrics, health, self.clock) = (Metrics(), HealthBoard(), clock)
  }

  static let closed = "snowflake.files_closed."
  static let copyTime = "snowflake.copy"

  // MARK: staging

  /// Runs `wait`, which ends when a worker is free.
  func queued(_ wait: () async throws -> Void) async throws {
    metrics.add("snowflake.queue_depth", 1)
    health.trouble(Self.queue, "all upload workers are busy", at: clock.monotonic())
    defer {
      metrics.add("snowflake.queue_depth", -1)
      health.relief(Self.queue)
    }
    try await wait()
  }

  func workerStarted() { metrics.add("snowflake.upload_workers_busy", 1) }
  func workerEnded() { metrics.add("snowflake.upload_workers_busy", -1) }

  /// A file lies in the stage: `plain` bytes became `bytes`.
  func uploaded(plain: Int, bytes: Int, because reason: CloseReason) {
    metrics.add("snowflake.files_uploaded", 1)
    metrics.add("snowflake.bytes_encoded", Int64(plain))
    metrics.add("snowflake.bytes_uploaded", Int64(bytes))
    metrics.add(Self.closed + reason.rawValue, 1)
    health.relief(Self.uploads)
  }

  func uploadFailed(_ error: NebulaError) {
    metrics.add("snowflake.upload_retries", 1)
    health.trouble(Self.uploads, "uploads fail: \(error.code.rawValue)", at: clock.monotonic())
  }

  /// Files that nobody needs stay in the stage; they are removed with later ones, but somebody pays for them meanwhile.
  func notRemoved(_ error: any Error) {
    let code = (error as? NebulaError)?.code.rawValue ?? "\(error)"
    health.trouble(Self.stage, "loaded files stay in the stage: \(code)", at: clock.monotonic())
  }
  func removed() { health.relief(Self.stage) }

  // MARK: sessions

  func sessions(inUse: Int) { metrics.set("snowflake.sessions_in_use", Int64(inUse)) }
  func loggedIn() {
    metrics.add("snowflake.logins", 1)
    health.relief(Self.renewals)
  }
  func renewed() {
    metrics.add("snowflake.renewals", 1)
    health.relief(Self.renewals)
  }
  func renewalFailed(_ reason: String) {
    health.trouble(Self.renewals, "a session can't be renewed: \(reason)", at: clock.monotonic())
  }

  /// A request is sent again.
  func retried(_ error: NebulaError) {
    metrics.add("snowflake.retries", 1)
    health.trouble(
      Self.requests, "requests are tried again: \(error.native ?? error.code.rawValue)", at: clock.monotonic())
  }
  func answered() { health.relief(Self.requests) }

  // MARK: loading

  /// Runs `body`, which takes the fence's lock.
  func locking<R: Sendable>(_ body: () async throws -> R) async throws -> R {
    health.trouble(Self.lock, "waiting for the fence's lock", at: clock.monotonic())
    defer { health.relief(Self.lock) }
    return try await body()
  }

  /// A COPY that began at `start` has loaded.
  func copied(since start: Duration) {
    metrics.add("snowflake.copies", 1)
    metrics.note(Self.copyTime, clock.monotonic() - start)
  }

  /// Runs `body`, a whole load: the warehouse works meanwhile.
  func loading<R: Sendable>(_ body: () async throws -> R) async throws -> R {
    let start = clock.monotonic()
    defer { metrics.add("snowflake.loading_ms", (clock.monotonic() - start).wholeMilliseconds) }
    return try await body()
  }
  func loaded(_ receipt: CommitReceipt) { metrics.add("snowflake.records_written", Int64(clamping: receipt.rows)) }

  // MARK: troubles

  private static let requests = HealthTopic("snowflake.requests", fadesAfter: .seconds(300))
  private static let renewals = HealthTopic("snowflake.renewals", fadesAfter: .seconds(300))
  private static let uploads = HealthTopic("snowflake.uploads", fadesAfter: .seconds(300))
  private static let stage = HealthTopic("snowflake.stage", unhealthyAfter: nil)
  // Another writer's last commit is a usual thing to wait for.
  private static let lock = HealthTopic("snowflake.lock", degradedAfter: .seconds(5))
  // Backpressure is how a fast source is slowed down; being stuck is not.
  private static let queue = HealthTopic(
    "snowflake.queue", degradedAfter: .seconds(30), unhealthyAfter: .seconds(300))
}
