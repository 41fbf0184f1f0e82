/// Where an epoch's rejected records lie, and the proof that the file is whole.
public struct DeadLetterFile: Sendable, Hashable, Codable {
  /// The file's final name, without folder.
  public let name: String
  /// Records in it.
  public let records: UInt64
  /// Its length.
  public let bytes: UInt64
  /// SHA-256 of its content, in hex.
  public let sha256: String
  /// Makes a description.
  public init(name: String, records: UInt64, bytes: UInt64, sha256: String) {
    self.name = name
    self.records = records
    self.bytes = bytes
    self.sha256 = sha256
  }
}

/// What is stored before a commit: all that is needed to finish or to undo it after any crash.
public struct Intent: Sendable, Hashable, Codable {
  /// The epoch.
  public let id: EpochID
  /// The epoch before it; nil for the first of a pipeline. The store refuses an intent that does not follow its tail.
  public let predecessor: EpochID?
  /// Where the epoch's records start.
  public let from: Position?
  /// Where the source resumes once it is committed.
  public let through: Position
  /// All records read into it.
  public let read: UInt64
  /// Their fates: the destination's counts, plus what the source rejected or filtered.
  public let counts: RecordCounts
  /// Its rejected records; nil when there are none.
  public let deadLetters: DeadLetterFile?
  /// The destination's part; nil for an epoch without destination rows, which the runtime settles itself.
  public let prepared: PreparedEpoch?
  /// The newest event time in it, in milliseconds since 1970; nil when records have none.
  public let newestEventTime: Int64?
  /// Units that were visible before the epoch was re-read under a pin.
  public let done: [EpochUnit: CommitReceipt]

  /// Makes an intent; only the epoch ledger has reason to.
  package init(
    id: EpochID, predecessor: EpochID?, from: Position?, through: Position, read: UInt64, counts: RecordCounts,
    deadLetters: DeadLetterFile?, prepared: PreparedEpoch?, newestEventTime: Int64?,
    done: [EpochUnit: CommitReceipt] = [:]
  ) {
    self.id = id
    self.predecessor = predecessor
    self.from = from
    self.through = through
    self.read = read
    self.counts = counts
    self.deadLetters = deadLetters
    self.prepared = prepared
    self.newestEventTime = newestEventTime
    self.done = done
  }

  /// Invariants 1 and 4: a position becomes storable only by the receipt of the epoch that ends there, and only
  /// when every record that was read has a fate.
  public func checkpoint(by receipt: CommitReceipt) throws(NebulaError) -> Checkpoint {
    guard id == receipt.id else {
      throw NebulaError(
        .receiptOutOfOrder, "The receipt of epoch \(receipt.id) came for epoch \(id).", remedy: "Report this defect.")
    }
    guard read == counts.total, prepared == nil || prepared?.counts == receipt.counts else {
      throw NebulaError(
        .recordsUnaccounted,
        "Epoch \(id): \(read) records read, \(counts.total) accounted for, the receipt speaks of \(receipt.counts.total).",
        remedy: "Report this defect. Nothing is lost: the position was not moved.")
    }
    return Checkpoint(intent: self, receipt: receipt)
  }

  /// The receipt of an epoch that needed no commit: nothing of it goes to the destination.
  public var emptyReceipt: CommitReceipt {
    CommitReceipt(id, counts: prepared?.counts ?? RecordCounts(), rows: 0)
  }
}

/// A position that may be stored (Invariant 1). Only an intent and its receipt make one.
public struct Checkpoint: Sendable, Hashable, Codable {
  /// Where the source resumes.
  public let position: Position
  /// The proof.
  public let receipt: CommitReceipt
  /// The intent that the receipt settles.
  public let intent: Intent
  fileprivate init(intent: Intent, receipt: CommitReceipt) {
    position = intent.through
    self.receipt = receipt
    self.intent = intent
  }
}

/// A position that is in a state store; only this may be acknowledged upstream. Only a state store makes one.
public struct DurablePosition: Sendable, Hashable {
  /// Where the source resumes.
  public let position: Position
  package init(storing checkpoint: Checkpoint) { position = checkpoint.position }
}
