public import NebulaCore

/// Moves records from a source to a destination, epoch by epoch (DESIGN §5).
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
    /// For jitter.
    public var random: @Sendable (Range<UInt64>) -> UInt64
    /// Named points of the crash tests.
    public var crash: CrashPoints
    /// Puts the parts together.
    public init(
      name: String, identity: PipelineIdentity, source: any Source, destination: any Destination,
      store: any StateStore, deadLetters: any DeadLetterStore, settings: PipelineSettings = PipelineSettings(),
      clock: Timekeeper, log: Logger = .silent,
      random: @escaping @Sendable (Range<UInt64>) -> UInt64 = { UInt64.random(in: $0) }, crash: CrashPoints = .none
    ) {
      self.name = name
      self.identity = identity
      self.source = source
      self.destination = destination
      self.store = store
      self.deadLetters = deadLetters
      self.settings = settings
      self.clock = clock
      self.log = log
      self.random = random
      self.crash = crash
    }
  }

  private let parts: Parts
  /// What the run has done so far.
  public private(set) var progress = PipelineProgress()

  /// Makes a pipeline; nothing is touched before `run`.
  public init(_ parts: Parts) { self.parts = parts }

  /// Runs until a bounded source has ended, `stop` was called or an error can't be survived. The state is resumable
  /// in every case.
  public func run() async throws {}

  /// Asks for a clean end: the open epoch is finished or abandoned, and `run` returns.
  public nonisolated func stop() {}
}
