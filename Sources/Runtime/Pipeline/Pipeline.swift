public import NebulaCore

/// Moves records from a source to a destination, epoch by epoch (docs/design.md).
///
///     open → recover → [ read → write → prepare → intent ] → [ commit → receipt → dead letters → acknowledge ]
///
/// The two brackets run side by side: epoch *n+1* is written while *n* commits. A session is one pass through this
/// line; an error that may pass ends it, and the next session resumes at the last receipt, as a new process would.
public actor Pipeline {
  /// What a pipeline is made of.
  public struct Parts: Sendable {
    /// The pipeline's name.
    public var name: String
    /// What it moves.
    public var identity: PipelineIdentity
    /// Where records come from.
    public var source: any Source
    /// Where they go.
    public var destination: any Destination
    /// Where positions are kept.
    public var store: any StateStore
    /// Where rejected records go.
    public var deadLetters: any DeadLetterStore
    /// The `pipeline:` section.
    public var settings: PipelineSettings
    /// Time.
    public var clock: Timekeeper
    /// Log lines.
    public var log: Logger
    /// Where is said that something is tried again, and that it works.
    public var health: HealthBoard
    /// For jitter.
    public var random: @Sendable (Range<UInt64>) -> UInt64
    /// Named points of the crash tests.
    public var crash: CrashPoints
    /// Where the clean-up tasks run; nil: on the cooperative pool. The simulation hands in its own, with one thread.
    public var executor: (any TaskExecutor)?
    /// Puts the parts together.
    public init(
      name: String, identity: PipelineIdentity, source: any Source, destination: any Destination,
      store: any StateStore, deadLetters: any DeadLetterStore, settings: PipelineSettings = PipelineSettings(),
      clock: Timekeeper, log: Logger = .silent, health: HealthBoard = HealthBoard(),
      random: @escaping @Sendable (Range<UInt64>) -> UInt64 = { UInt64.random(in: $0) }, crash: CrashPoints = .none,
      executor: (any TaskExecutor)? = nil
    ) {
      self.executor = executor
      self.name = name
      self.identity = identity
      self.source = source
      self.destination = destination
      self.store = store
      self.deadLetters = deadLetters
      self.settings = settings
      self.clock = clock
      self.log = log
      self.health = health
      self.random = random
      self.crash = crash
    }
  }

  let parts: Parts
  let stopRequested = Watched(false)
  /// What the run has done so far.
  public internal(set) var progress = PipelineProgress()
  /// The last sequence used under this lease: never reused, also after an abort or a new session.
  var lastSequence: UInt64 = 0
  /// The epoch that has no intent yet, to be destroyed if the session ends.
  var openEpoch: OpenEpoch?
  struct OpenEpoch {
    let id: EpochID
    var isBegun = false
    var prepared: PreparedEpoch?
    /// True once its intent was sent to the store: whether it lies there is not known until the answer comes.
    var hasIntentSent = false
  }
  /// True while a commit was sent whose end is not known: the lease is then left to expire, not released.
  var commitInDoubt = false
  /// The source's newest known operation time, in milliseconds since 1970.
  var newestKnown: Int64?
  /// The failures that nothing good has come between.
  var failures = FailureStreak()
  /// Dead letters of intents that were sent to the store and may still arrive there: this process keeps them.
  var lettersInDoubt: [DeadLetterFile] = []
  /// Rejected records of epochs that have an intent and no receipt yet.
  var rejectedUnderway: UInt64 = 0

  /// Makes a pipeline; nothing is touched before `run`.
  public init(_ parts: Parts) { self.parts = parts }

  /// Runs until a bounded source has ended, `stop` was called or an error can't be survived. The state is resumable
  /// in every case.
  public func run() async throws {
    let lease = try await acquire()
    let result: Result<Void, any Error>
    do {
      try await runSessions(lease)
      result = .success(())
    } catch {
      result = .failure(error)
    }
    await cleanUp { await self.leave(lease) }
    try result.get()
  }

  /// Takes the lease. A store that is busy for a moment is asked again; a live holder's refusal is final.
  private func acquire() async throws -> Lease {
    var backoff = Backoff(patience: parts.settings.retryFor)
    var failingSince: Duration?
    while true {
      do { return try await parts.store.acquire(parts.name, identity: parts.identity) } catch {
        guard
          case .wait(let pause) = backoff.after(
            error, since: &failingSince, now: parts.clock.monotonic(), random: parts.random),
          !stopRequested.value
        else { throw error }
        parts.log.warning("\(error) Trying again in \(pause.written ?? "").")
        try await sleepUnlessStopped(pause)
      }
    }
  }

  /// Asks for a clean end: the open epoch is finished or abandoned within the deadline, and `run` returns.
  public nonisolated func stop() { stopRequested.update { $0 = true } }

  /// After a stop was asked for, a clean-up may take so long.
  private static let cleanUpTime: Duration = .seconds(3)

  /// Cleans up in a task of its own: a cancelled one could not await it. Once a stop is asked for, be it before or
  /// meanwhile, it is cancelled when it takes long (a destination that no longer answers): the next start sweeps what
  /// is left.
  func cleanUp(_ body: @escaping @Sendable () async -> Void) async {
    let work = Task(executorPreference: parts.executor) { await body() }
    let alarm = Task(executorPreference: parts.executor) { [clock = parts.clock, stopRequested] in
      try await stopRequested.wait { $0 ? () : nil }
      try await clock.sleep(Self.cleanUpTime)
      work.cancel()
    }
    await work.value
    alarm.cancel()
  }

  private func leave(_ lease: Lease) async {
    await parts.source.close()
    await parts.destination.close()
    guard !commitInDoubt else {
      parts.log.warning("A commit's end is not known yet: the lease is left to expire. The next run finds out.")
      return
    }
    do { try await parts.store.release(lease) } catch {
      parts.log.warning("The lease could not be released and will expire: \(error)")
    }
  }

  /// What is tried again: over with the next receipt, or when it was not heard of for long.
  static let retries = HealthTopic("retries", unhealthyAfter: .seconds(120), fadesAfter: .seconds(180))
  func noteTrouble(_ error: any Error, _ now: Duration) {
    let what = (error as? NebulaError)?.code.rawValue ?? "an unexpected error"
    parts.health.trouble(Self.retries, "tried again after \(what)", at: now)
  }

  private func runSessions(_ lease: Lease) async throws {
    var backoff = Backoff(patience: parts.settings.retryFor)
    while true {
      let epochs = progress.epochs
      failures.sessionStarted()
      do { return try await runSession(lease) } catch {
        let now = parts.clock.monotonic()
        if progress.epochs > epochs || failures.since == nil { backoff.reset() }
        guard case .wait(let pause) = backoff.after(error, since: &failures.since, now: now, random: parts.random)
        else { throw error }
        if stopRequested.value { return }
        noteTrouble(error, now)
        parts.log.warning("\(error) Trying again in \(pause.written ?? ""), from the last committed position.")
        try await sleepUnlessStopped(pause)
        if stopRequested.value { return }
      }
    }
  }

  private func sleepUnlessStopped(_ pause: Duration) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { [clock = parts.clock] in try await clock.sleep(pause) }
      group.addTask { [stopRequested] in try await stopRequested.wait { $0 ? () : nil } }
      defer { group.cancelAll() }
      try await group.next()
    }
  }
}
