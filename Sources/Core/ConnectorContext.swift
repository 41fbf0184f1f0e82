/// What a connector is given from outside, so that nothing in it is global and tests can hand in their own.
public struct ConnectorContext: Sendable {
  /// The pipeline's name.
  public var pipeline: String
  /// Whether the run ends by itself.
  public var mode: RunMode
  /// Time.
  public var clock: Timekeeper
  /// Log lines.
  public var log: Logger
  /// Counters and gauges.
  public var metrics: Metrics
  /// Where trouble and its end are reported.
  public var health: HealthBoard
  /// The budget for all bytes in flight.
  public var budget: MemoryBudget
  /// Where a destination puts the records that it can't deliver.
  public var deadLetters: any DeadLetterSink
  /// A random number in a half-open range, for jitter.
  public var random: @Sendable (Range<UInt64>) -> UInt64
  /// Where the connector may keep files of its own.
  public var paths: Paths
  /// The named points of the crash tests; does nothing unless the program was told to die at one.
  public var crash: CrashPoints
  /// How long what fails may be tried again (`pipeline.retry_for`): retries inside a connector keep this bound too.
  public var retryFor: Duration
  /// Makes a context.
  public init(
    pipeline: String, mode: RunMode = .continuous, clock: Timekeeper, log: Logger = .silent,
    metrics: Metrics = Metrics(), health: HealthBoard = HealthBoard(), budget: MemoryBudget,
    deadLetters: any DeadLetterSink,
    random: @escaping @Sendable (Range<UInt64>) -> UInt64 = { UInt64.random(in: $0) }, paths: Paths,
    crash: CrashPoints = .none, retryFor: Duration = .seconds(15 * 60)
  ) {
    self.pipeline = pipeline
    self.mode = mode
    self.clock = clock
    self.log = log
    self.metrics = metrics
    self.health = health
    self.budget = budget
    self.deadLetters = deadLetters
    self.random = random
    self.paths = paths
    self.crash = crash
    self.retryFor = retryFor
  }
}

/// Whether a run ends by itself.
public enum RunMode: String, Sendable, Hashable, Codable {
  /// Goes on until it is told to stop (bounded sources end anyway).
  case continuous
  /// The source fixes its end once, when it opens, and its stream ends there, however much is written meanwhile.
  case untilCaughtUp
}

/// Time, handed in.
public struct Timekeeper: Sendable {
  /// Since some fixed moment; never goes back.
  public var monotonic: @Sendable () -> Duration
  /// Milliseconds since 1970, UTC.
  public var wall: @Sendable () -> Int64
  /// Waits; throws `CancellationError` when the task is cancelled.
  public var sleep: @Sendable (Duration) async throws -> Void
  /// Makes a timekeeper.
  public init(
    monotonic: @escaping @Sendable () -> Duration, wall: @escaping @Sendable () -> Int64,
    sleep: @escaping @Sendable (Duration) async throws -> Void
  ) {
    self.monotonic = monotonic
    self.wall = wall
    self.sleep = sleep
  }
}

/// The folders a connector may write to; both exist, mode 0700. Files in them are made 0600.
public struct Paths: Sendable, Hashable {
  /// Beside the pipeline's state: small files that must survive.
  public var state: String
  /// For staged files too large for memory; swept at start.
  public var spool: String
  /// How much may lie in `spool`; who needs more waits.
  public var maxSpoolBytes: Int
  /// Makes paths.
  public init(state: String, spool: String, maxSpoolBytes: Int = 4 << 30) {
    self.state = state
    self.spool = spool
    self.maxSpoolBytes = maxSpoolBytes
  }
}

/// Takes the records that can't be delivered; they become visible with the receipt of their epoch.
public protocol DeadLetterSink: Sendable {
  /// Adds records to the epoch's dead letters. They are durable before the epoch's intent is stored.
  func append(_ records: [RejectedRecord], to epoch: EpochID) async throws
}

/// Log lines; each goes through redaction before it is shown.
public struct Logger: Sendable {
  /// How important a line is.
  public enum Level: Int, Sendable, Comparable {
    case debug, info, warning, error
    /// By importance.
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  }
  private let write: @Sendable (Level, String) -> Void
  /// A logger that hands each line to `write`.
  public init(_ write: @escaping @Sendable (Level, String) -> Void) { self.write = write }
  /// Writes nothing.
  public static let silent = Logger { _, _ in }
  /// For whoever develops.
  public func debug(_ message: @autoclosure () -> String) { write(.debug, message()) }
  /// What happens, a few lines a minute at most.
  public func info(_ message: @autoclosure () -> String) { write(.info, message()) }
  /// What someone should look at; the pipeline goes on.
  public func warning(_ message: @autoclosure () -> String) { write(.warning, message()) }
  /// What stopped something.
  public func error(_ message: @autoclosure () -> String) { write(.error, message()) }
}

/// Named points at which a crash test kills the process (`NEBULA_CRASH_AT=<point>:<n>`).
public struct CrashPoints: Sendable {
  private let reached: (@Sendable (String) -> Void)?
  /// Calls `reached` with the name at every point.
  public init(_ reached: @escaping @Sendable (String) -> Void) { self.reached = reached }
  private init() { reached = nil }
  /// Does nothing.
  public static let none = CrashPoints()
  /// The process is at `point`.
  @inlinable public func pass(_ point: StaticString) { reach(point) }
  @usableFromInline func reach(_ point: StaticString) { reached?("\(point)") }
}
