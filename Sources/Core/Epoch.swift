/// How many records had which fate. `read == committed + rejected + filtered` (Invariant 4).
public struct RecordCounts: Sendable, Hashable, Codable {
  /// Delivered, superseded ones included.
  public var committed: UInt64
  /// Of the committed: earlier changes of a key that a later one in the same epoch replaced.
  public var superseded: UInt64
  /// Undeliverable, in the dead letters.
  public var rejected: UInt64
  /// Left out because the configuration says so.
  public var filtered: UInt64
  /// Makes counts.
  public init(committed: UInt64 = 0, superseded: UInt64 = 0, rejected: UInt64 = 0, filtered: UInt64 = 0) {
    self.committed = committed
    self.superseded = superseded
    self.rejected = rejected
    self.filtered = filtered
  }
  /// All records these counts answer for.
  public var total: UInt64 { committed + rejected + filtered }
  /// The sum of both.
  public static func + (a: Self, b: Self) -> Self {
    RecordCounts(
      committed: a.committed + b.committed, superseded: a.superseded + b.superseded,
      rejected: a.rejected + b.rejected, filtered: a.filtered + b.filtered)
  }
}

/// All that a destination needs to commit an epoch after any crash. Stored as the intent, before the commit.
public struct PreparedEpoch: Sendable, Hashable, Codable {
  /// The epoch.
  public let id: EpochID
  /// The fates of the records that the destination was given.
  public let counts: RecordCounts
  /// The version of `manifest`'s layout; a destination reads its own old ones.
  public let version: Int
  /// The destination's own encoding, opaque to the runtime.
  public let manifest: [UInt8]
  /// True when nothing was staged, so nothing has to be committed.
  public let isEmpty: Bool
  /// Makes a prepared epoch.
  public init(_ id: EpochID, counts: RecordCounts, version: Int, manifest: [UInt8], isEmpty: Bool = false) {
    self.id = id
    self.counts = counts
    self.version = version
    self.manifest = manifest
    self.isEmpty = isEmpty
  }
}

extension PreparedEpoch {
  private enum CodingKeys: String, CodingKey { case id, counts, version, manifest, isEmpty }

  /// Reads what `encode` wrote, and what earlier versions did: the manifest as a list of numbers.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    id = try values.decode(EpochID.self, forKey: .id)
    counts = try values.decode(RecordCounts.self, forKey: .counts)
    version = try values.decode(Int.self, forKey: .version)
    let text = try? values.decode(String.self, forKey: .manifest)
    manifest = try text.map { Array($0.utf8) } ?? values.decode([UInt8].self, forKey: .manifest)
    isEmpty = try values.decode(Bool.self, forKey: .isEmpty)
  }

  /// A manifest that is text is written as text: that of thousands of tables has megabytes, and as a list of numbers each
  /// byte would take the encoder fifty.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(id, forKey: .id)
    try values.encode(counts, forKey: .counts)
    try values.encode(version, forKey: .version)
    if let text = String(validating: manifest, as: UTF8.self) {
      try values.encode(text, forKey: .manifest)
    } else {
      try values.encode(manifest, forKey: .manifest)
    }
    try values.encode(isEmpty, forKey: .isEmpty)
  }
}

/// Proof that an epoch is durable and visible.
public struct CommitReceipt: Sendable, Hashable, Codable {
  /// The epoch.
  public let id: EpochID
  /// The fates of the records that the destination was given.
  public let counts: RecordCounts
  /// Rows in the destination; may differ from records.
  public let rows: UInt64
  /// Bytes as stored.
  public let bytes: UInt64
  /// Files or objects published or loaded.
  public let files: UInt64
  /// The system's own proof: query ids, ETags, a manifest's path.
  public let evidence: [String]
  /// Makes a receipt.
  public init(
    _ id: EpochID, counts: RecordCounts, rows: UInt64, bytes: UInt64 = 0, files: UInt64 = 0, evidence: [String] = []
  ) {
    self.id = id
    self.counts = counts
    self.rows = rows
    self.bytes = bytes
    self.files = files
    self.evidence = evidence
  }
}

/// What a commit did.
public enum CommitOutcome: Sendable {
  /// Durable and visible.
  case committed(CommitReceipt)
  /// The load found bad rows: this epoch takes the place of the stored one (same id), and these rows are rejected.
  case replaced(PreparedEpoch, [RejectedRecord])
}

/// A part of an epoch that can be visible without the others: a partition, a table.
public typealias EpochUnit = String

/// What became of a prepared epoch whose writer may have died.
public enum EpochFate: Sendable, Hashable {
  /// Durable and visible.
  case committed(CommitReceipt)
  /// All is staged, nothing visible is missing that `commit` would not add.
  case ready
  /// Nothing of it is visible, and nothing can become visible (staged data is destroyed or fenced).
  case gone
  /// Some units are visible, the others can't become visible any more.
  case partial(done: [EpochUnit: CommitReceipt])
  /// What was seen allows no answer: the pipeline stops and says it.
  case unknown(String)
}

/// The instruction to re-read an epoch of which some units are already visible: exactly up to `through`.
public struct Pin: Sendable, Hashable, Codable {
  /// Where the re-read starts.
  public let from: Position?
  /// Where it ends, exactly.
  public let through: Position
  /// What is visible already and must not be written again.
  public let done: [EpochUnit: CommitReceipt]
  /// Makes a pin.
  public init(from: Position?, through: Position, done: [EpochUnit: CommitReceipt]) {
    self.from = from
    self.through = through
    self.done = done
  }
}

/// What a user may rely on, and why.
public enum Guarantee: Sendable, Hashable, Codable {
  /// Each record once, across any crash.
  case exactlyOnce(because: String)
  /// Each key ends in its right state, across any crash.
  case effectivelyOnce(by: String, because: String)
  /// Nothing lost; something may come twice.
  case atLeastOnce(because: String)
  /// A restart starts over.
  case none(because: String)
}

extension Guarantee: CustomStringConvertible {
  /// One line for the user.
  public var description: String {
    switch self {
    case .exactlyOnce(let because): "exactly once: \(because)"
    case .effectivelyOnce(let by, let because): "effectively once by \(by): \(because)"
    case .atLeastOnce(let because): "at least once: \(because)"
    case .none(let because): "none across restarts: \(because)"
    }
  }
}
