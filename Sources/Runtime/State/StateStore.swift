public import NebulaCore

/// What is stored of a pipeline beside its lease.
public struct PipelineState: Sendable, Hashable {
  /// The last receipt with its position; nil before the first.
  public var last: Checkpoint?
  /// Intents without a receipt, oldest first.
  public var intents: [Intent]
  /// A half visible epoch that must be re-read exactly; at most one.
  public var pin: Pin?
  /// Makes a state.
  public init(last: Checkpoint? = nil, intents: [Intent] = [], pin: Pin? = nil) {
    self.last = last
    self.intents = intents
    self.pin = pin
  }
  /// The epoch that the next intent must follow.
  public var tail: EpochID? { intents.last?.id ?? last?.receipt.id }
}

/// What a pipeline moves: compared with what is stored, so that one collection's token never resumes another.
public struct PipelineIdentity: Sendable, Hashable, Codable {
  /// The source's connector name.
  public var source: String
  /// Its identity properties.
  public var sourceIdentity: [String: String]
  /// The destination's connector name.
  public var destination: String
  /// Its identity properties.
  public var destinationIdentity: [String: String]
  /// Makes an identity.
  public init(
    source: String, sourceIdentity: [String: String], destination: String, destinationIdentity: [String: String]
  ) {
    self.source = source
    self.sourceIdentity = sourceIdentity
    self.destination = destination
    self.destinationIdentity = destinationIdentity
  }
}

/// Keeps a pipeline's position, intents and lease. Every write is conditional on the lease's generation and on the
/// predecessor being the tail; a mismatch throws `state.fenced`, and is never success (docs/design.md).
///
/// A write whose answer was lost may be repeated: the same write again succeeds and changes nothing.
public protocol StateStore: Sendable {
  /// Takes the pipeline, with a generation higher than any before. Throws `state.locked` while a live holder's lease
  /// runs, and `state.identity_changed` when something else was moved under this name.
  func acquire(_ pipeline: String, identity: PipelineIdentity) async throws -> Lease
  /// What is stored. Read after the destination has been opened, so that no older writer can still change it.
  func load(_ lease: Lease) async throws -> PipelineState
  /// Stores an intent behind the tail, and removes the pin that it replaces.
  func store(_ intent: Intent, under lease: Lease) async throws
  /// Replaces the oldest intent by its receipt, in one transaction: the only place where a position is written.
  func store(_ checkpoint: Checkpoint, under lease: Lease) async throws -> DurablePosition
  /// Puts an epoch that a load has corrected in the place of the stored one (same id, same place).
  func replace(_ intent: Intent, under lease: Lease) async throws
  /// Drops intents and all that follow them, and stores the pin (or keeps the old one, with nil), in one transaction.
  func drop(from id: EpochID, pin: Pin?, under lease: Lease) async throws
  /// Prolongs the lease; throws `state.fenced` when it is no longer ours.
  func renew(_ lease: Lease) async throws
  /// Gives the lease back. Only called when every request sent has its answer.
  func release(_ lease: Lease) async throws
}

extension NebulaError.Code {
  /// The state belongs to a newer writer.
  public static let fenced: Self = "state.fenced"
  /// Another live process holds the lease.
  public static let locked: Self = "state.locked"
  /// The stored position belongs to another source or destination.
  public static let identityChanged: Self = "state.identity_changed"
  /// The destination has seen a later writer than the state knows of.
  public static let behindDestination: Self = "state.behind_destination"
  /// A committed epoch lies behind one that is gone.
  public static let gap: Self = "state.gap"
}
