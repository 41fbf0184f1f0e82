/// What the runtime must know of a source.
public struct SourceTraits: Sendable, Hashable, Codable {
  /// How a source finds its place again.
  public enum Resume: String, Sendable, Hashable, Codable {
    /// Right after the last record.
    case exact
    /// At or before the last record: some come again.
    case inclusive
    /// Only from the beginning.
    case none
  }
  /// How it finds its place again.
  public var resume: Resume
  /// True when a re-read can be made to end exactly at an earlier position, which a pin needs.
  public var rereadsExactly: Bool
  /// True when records carry keys.
  public var hasKeys: Bool
  /// True when records of a key come in their order.
  public var isOrdered: Bool
  /// True when the source ends by itself.
  public var isBounded: Bool
  /// False when an update may come without the whole document after it, although that is still there.
  public var hasWholeDocuments: Bool
  /// Makes traits.
  public init(
    resume: Resume = .exact, rereadsExactly: Bool = false, hasKeys: Bool = false, isOrdered: Bool = true,
    isBounded: Bool = false, hasWholeDocuments: Bool = true
  ) {
    self.resume = resume
    self.rereadsExactly = rereadsExactly
    self.hasKeys = hasKeys
    self.isOrdered = isOrdered
    self.isBounded = isBounded
    self.hasWholeDocuments = hasWholeDocuments
  }
}

/// A system that records are read from.
///
/// The runtime calls one method at a time, except `close`, which may come while another one waits.
public protocol Source: Sendable {
  /// What the runtime must know; may depend on the options.
  var traits: SourceTraits { get }
  /// Looks whether it is reachable and permitted. No side effects.
  func check() async throws -> [Finding]
  /// Starts reading right after `position`, or at the beginning. With `through`, the stream cuts a batch exactly
  /// there (only asked of sources whose traits say that they can).
  func open(from position: Position?, through: Position?) async throws -> sending any RecordStream
  /// Tells upstream that everything up to `position` may be forgotten.
  func acknowledge(through position: DurablePosition) async throws
  /// Lets everything go; a pending `next` ends soon after.
  func close() async
}

/// A pull sequence of batches with one reader, so its author needs no lock. Pulling is the backpressure.
public protocol RecordStream {
  /// The next batch; nil when a bounded source has ended. Returns within about a second, with an idle batch if
  /// nothing came (which says whether the source was heard of), and throws `CancellationError` soon after its task is
  /// cancelled.
  mutating func next() async throws -> RecordBatch?
}

/// What the runtime must know of a destination.
public struct DestinationTraits: Sendable, Hashable, Codable {
  /// How many steps publish an epoch.
  public enum Phases: String, Sendable, Hashable, Codable { case two, one }
  /// Two: `prepare` makes it durable, `commit` visible.
  public var phases: Phases
  /// True when rows are addressed by key, so that a repeat replaces.
  public var isKeyed: Bool
  /// True when the destination itself refuses a writer of an older generation.
  public var hasFence: Bool
  /// True when it must also be given the batch on which a copy ends if that has no records: it is then part of an
  /// epoch, which is prepared and committed although it may have no rows.
  public var followsCopies: Bool
  /// When the destination wants an epoch cut; the pipeline's own limits hold as well, the smaller wins.
  public var epoch: EpochLimits
  /// Makes traits.
  public init(
    phases: Phases = .two, isKeyed: Bool = false, hasFence: Bool = false, followsCopies: Bool = false,
    epoch: EpochLimits = EpochLimits()
  ) {
    self.phases = phases
    self.isKeyed = isKeyed
    self.hasFence = hasFence
    self.followsCopies = followsCopies
    self.epoch = epoch
  }
}

/// When to cut an epoch; nil means no limit.
public struct EpochLimits: Sendable, Hashable, Codable {
  /// Records read into it.
  public var records: UInt64?
  /// Bytes read into it.
  public var bytes: UInt64?
  /// Time since its first record.
  public var age: Duration?
  /// The same while the source is behind (`RecordBatch.isBehind`), when it is longer: what is read then is late
  /// already, and fewer, larger epochs cost less. Nil: as `age`.
  public var ageBehind: Duration?
  /// Time since its last record.
  public var idle: Duration?
  /// Makes limits.
  public init(
    records: UInt64? = nil, bytes: UInt64? = nil, age: Duration? = nil, ageBehind: Duration? = nil,
    idle: Duration? = nil
  ) {
    self.records = records
    self.bytes = bytes
    self.age = age
    self.ageBehind = ageBehind
    self.idle = idle
  }
  /// The smaller limit of both, one by one.
  public func tightened(by other: EpochLimits) -> EpochLimits {
    func least<T: Comparable>(_ a: T?, _ b: T?) -> T? { a.flatMap { a in b.map { min(a, $0) } ?? a } ?? b }
    return EpochLimits(
      records: least(records, other.records), bytes: least(bytes, other.bytes), age: least(age, other.age),
      ageBehind: least(ageBehind ?? age, other.ageBehind ?? other.age), idle: least(idle, other.idle))
  }
  /// The age that holds.
  public func age(isBehind: Bool) -> Duration? { isBehind ? ageBehind ?? age : age }
}

/// A system that records are written to, epoch by epoch.
///
/// Epoch *n+1* may be written and prepared while *n* commits; commits come one at a time, in order. Methods throw
/// `NebulaError` when they know what happened; anything else is treated as unknown, and stops after bounded retries.
public protocol Destination: Sendable {
  /// What the runtime must know; may depend on the options.
  var traits: DestinationTraits { get }
  /// Looks whether it is reachable and permitted. No side effects.
  func check() async throws -> [Finding]
  /// What this source and this destination, so configured, can promise; throws when it can't keep what is asked.
  func guarantee(from source: SourceTraits) throws -> Guarantee
  /// Takes the pipeline over: after this no writer of an older generation can commit (where there is a fence).
  func open(_ lease: Lease) async throws
  /// Starts an epoch. With a pin, the units in `pin.done` are left out when records are written (their records
  /// still count as committed).
  func begin(_ epoch: EpochID, pin: Pin?) async throws
  /// Takes a batch; returns when there is room for more. It has records, or ends a copy (see `followsCopies`).
  func write(_ batch: RecordBatch, to epoch: EpochID) async throws
  /// Makes the epoch durable where `commit` can find it after any crash, not yet visible.
  func prepare(_ epoch: EpochID) async throws -> PreparedEpoch
  /// Makes it visible. Doing it again changes nothing (Invariant 3).
  func commit(_ epoch: PreparedEpoch) async throws -> CommitOutcome
  /// Says what became of an epoch whose writer died or whose commit's answer was lost. Never guesses: throws a
  /// retryable error while it can't know.
  func recover(_ epoch: PreparedEpoch) async throws -> EpochFate
  /// Destroys what was staged for an epoch that will not be committed. `prepared` is nil when it never was.
  func abort(_ epoch: EpochID, _ prepared: PreparedEpoch?) async throws
  /// The receipt is stored: what only a recovery would have needed may be removed. Failing here loses nothing.
  func settled(_ receipt: CommitReceipt, _ prepared: PreparedEpoch) async throws
  /// What it has to say of the run so far, for the summary.
  func report() async -> RunReport
  /// Lets everything go.
  func close() async
}

extension Destination {
  /// Nothing to say.
  public func report() async -> RunReport { RunReport() }
  /// Destinations without independent units never give `partial`, so they are never asked to go on from a pin.
  public func begin(_ epoch: EpochID, pin: Pin?) async throws {
    guard pin == nil else {
      throw NebulaError(
        "pipeline.pin_not_supported", "Epoch \(epoch) has a pin, but this destination has no independent units.",
        remedy: "Report this defect.")
    }
  }
  /// Nothing to remove.
  public func settled(_ receipt: CommitReceipt, _ prepared: PreparedEpoch) async throws {}
}

/// A connector is a value: what it is called, what it takes, how to make one. A plugin's is made at run time.
public struct Connector: Sendable {
  /// Name, properties, errors: everything that docs, validation and redaction walk.
  public let specification: ConnectorSpecification
  /// Makes a source; nil when it has none.
  public let makeSource: (@Sendable (Properties, ConnectorContext) throws -> any Source)?
  /// Makes a destination; nil when it has none.
  public let makeDestination: (@Sendable (Properties, ConnectorContext) throws -> any Destination)?
  /// Completes what was written from places of its own, given the environment; nil when there are none.
  public let complete: (@Sendable (Properties, [String: String]) -> Completion)?
  /// Makes a connector.
  public init(
    _ specification: ConnectorSpecification,
    makeSource: (@Sendable (Properties, ConnectorContext) throws -> any Source)? = nil,
    makeDestination: (@Sendable (Properties, ConnectorContext) throws -> any Destination)? = nil,
    complete: (@Sendable (Properties, [String: String]) -> Completion)? = nil
  ) {
    self.complete = complete
    self.specification = specification
    self.makeSource = makeSource
    self.makeDestination = makeDestination
  }

  /// A source that decodes `Options` first.
  public static func source<Options: ConnectorOptions, S: Source>(
    _ name: String, _ summary: String, errors: [ErrorSpecification] = [],
    _ make: @escaping @Sendable (Options, ConnectorContext) throws -> S
  ) -> Connector {
    Connector(
      ConnectorSpecification(
        name: name, role: .source, summary: summary, properties: Options.fields.map(\.specification), errors: errors),
      makeSource: { try make(try Options(decoding: $0), $1) })
  }

  /// A destination that decodes `Options` first.
  public static func destination<Options: ConnectorOptions, D: Destination>(
    _ name: String, _ summary: String, errors: [ErrorSpecification] = [], guide: String? = nil,
    complete: (@Sendable (Properties, [String: String]) -> Completion)? = nil,
    _ make: @escaping @Sendable (Options, ConnectorContext) throws -> D
  ) -> Connector {
    Connector(
      ConnectorSpecification(
        name: name, role: .destination, summary: summary, properties: Options.fields.map(\.specification),
        errors: errors, guide: guide),
      makeDestination: { try make(try Options(decoding: $0), $1) }, complete: complete)
  }
}
