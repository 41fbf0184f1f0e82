import NebulaCore
import Testing

@testable import NebulaRuntime

@Suite struct EpochLedgerTests {
  private static func batch(_ count: Int, at position: UInt8?, columns: [String] = ["a"], rejected: Int = 0)
    -> RecordBatch
  {
    RecordBatch(
      bytes: SharedBytes(copying: Array(repeating: 0, count: count)),
      records: (0..<count).map { ByteRange(UInt32($0), UInt32($0 + 1)) }, format: .json,
      namespaces: [Namespace(collection: "c")], schema: RecordSchema(columns: columns.map { .init($0) }),
      rejected: (0..<rejected).map { _ in RejectedRecord(NebulaError("x.y", "", remedy: ""), payload: [], format: .json)
      },
      position: position.map { Position([$0]) })
  }
  private static func ledger(_ limits: EpochLimits, pin: Pin? = nil) -> EpochLedger {
    EpochLedger(tail: nil, position: nil, pin: pin, limits: limits, idleInterval: .seconds(10), now: .zero)
  }
  private static func id(_ sequence: UInt64) -> EpochID { EpochID(generation: 1, sequence: sequence) }
  private static func prepared(_ id: EpochID, _ committed: UInt64) -> PreparedEpoch {
    PreparedEpoch(id, counts: RecordCounts(committed: committed), version: 1, manifest: [1])
  }

  @Test func cutsByRecordsOnlyAtABoundary() {
    var ledger = Self.ledger(EpochLimits(records: 3))
    _ = ledger.note(Self.batch(2, at: 2), now: .zero) { Self.id(1) }
    #expect(!ledger.shouldCut(now: .zero, ending: false))
    _ = ledger.note(Self.batch(2, at: nil), now: .zero) { Self.id(2) }
    #expect(!ledger.shouldCut(now: .zero, ending: false), "no safe boundary lies there")
    #expect(!ledger.shouldCut(now: .zero, ending: true))
    _ = ledger.note(Self.batch(1, at: 5), now: .zero) { Self.id(3) }
    #expect(ledger.shouldCut(now: .zero, ending: false))
    #expect(ledger.open?.id == Self.id(1), "one epoch, so one id")
  }

  @Test func cutsByBytesAgeAndIdleness() {
    for (limits, due) in [
      (EpochLimits(bytes: 4), Duration.zero), (EpochLimits(age: .seconds(5)), .seconds(5)),
      (EpochLimits(idle: .seconds(3)), .seconds(3)),
    ] {
      var ledger = Self.ledger(limits)
      _ = ledger.note(Self.batch(4, at: 4), now: .zero) { Self.id(1) }
      #expect(ledger.shouldCut(now: due, ending: false))
      if due > .zero { #expect(!ledger.shouldCut(now: due - .milliseconds(1), ending: false)) }
    }
  }

  @Test func anIdleTokenIsStoredAtMostOncePerInterval() throws {
    var ledger = Self.ledger(EpochLimits(records: 1))
    _ = ledger.note(.idle(at: Position([9])), now: .seconds(1)) { Self.id(1) }
    #expect(!ledger.shouldCut(now: .milliseconds(9_999), ending: false))
    #expect(ledger.shouldCut(now: .seconds(10), ending: false))
    let intent = try ledger.close(prepared: nil, deadLetters: nil, now: .seconds(10))
    #expect(intent.read == 0 && intent.through == Position([9]) && intent.prepared == nil)
    _ = ledger.note(.idle(at: Position([9])), now: .seconds(25)) { Self.id(2) }
    #expect(!ledger.shouldCut(now: .seconds(25), ending: true), "the position did not move")
  }

  /// What is late already may wait for a larger epoch; what is fresh may not.
  @Test func anEpochMayGrowOlderWhileTheSourceIsBehind() {
    let limits = EpochLimits(age: .seconds(5), ageBehind: .seconds(60)).tightened(by: EpochLimits())
    func batch(_ copy: CopyPhase, remaining: UInt64?) -> RecordBatch {
      let base = Self.batch(2, at: 2)
      return RecordBatch(
        bytes: base.bytes, records: base.records, format: base.format, namespaces: base.namespaces,
        position: base.position, lag: .init(remainingBytes: remaining), copy: copy)
    }
    let copying = CopyPhase.underway(since: ChangeSequence(clusterTime: 1, index: 0))
    for (late, isBehind) in [
      (batch(copying, remaining: nil), true), (batch(.none, remaining: 7), true), (batch(.none, remaining: 0), false),
      (batch(.none, remaining: nil), false),
    ] {
      var ledger = Self.ledger(limits)
      _ = ledger.note(late, now: .zero) { Self.id(1) }
      #expect(ledger.shouldCut(now: .seconds(6), ending: false) == !isBehind)
      #expect(ledger.shouldCut(now: .seconds(60), ending: false))
      // It has caught up: what is open goes at once.
      _ = ledger.note(batch(.none, remaining: 0), now: .seconds(6)) { Self.id(1) }
      #expect(ledger.shouldCut(now: .seconds(6), ending: false))
    }
    #expect(limits.tightened(by: EpochLimits(age: .seconds(2))).age(isBehind: true) == .seconds(2))
  }

  @Test func anotherSchemaCutsBeforeItsBatch() throws {
    var ledger = Self.ledger(EpochLimits())
    _ = ledger.note(Self.batch(2, at: 2), now: .zero) { Self.id(1) }
    try #expect(!ledger.mustCut(before: Self.batch(1, at: 3)))
    try #expect(ledger.mustCut(before: Self.batch(1, at: 3, columns: ["a", "b"])))
    try #expect(!ledger.mustCut(before: .idle(at: Position([3]))))
  }

  @Test func aPinnedEpochEndsExactlyWhereItEnded() throws {
    let done = ["unit": CommitReceipt(Self.id(1), counts: RecordCounts(committed: 1), rows: 1)]
    var ledger = Self.ledger(EpochLimits(records: 1), pin: Pin(from: nil, through: Position([4]), done: done))
    _ = ledger.note(Self.batch(2, at: 2), now: .seconds(99)) { Self.id(7) }
    #expect(!ledger.shouldCut(now: .seconds(99), ending: true))
    _ = ledger.note(Self.batch(2, at: 4), now: .seconds(99)) { Self.id(8) }
    #expect(ledger.shouldCut(now: .seconds(99), ending: false))
    let intent = try ledger.close(prepared: Self.prepared(Self.id(7), 4), deadLetters: nil, now: .zero)
    #expect(intent.done == done)
    #expect(ledger.currentPin == nil)
  }

  /// Invariant 4.
  @Test func everyRecordMustHaveAFate() {
    let letters = DeadLetterFile(name: "f", records: 1, bytes: 1, sha256: "")
    for (committed, file) in [(UInt64(2), DeadLetterFile?.none), (1, letters), (3, letters)] {
      var ledger = Self.ledger(EpochLimits())
      _ = ledger.note(Self.batch(2, at: 2, rejected: 1), now: .zero) { Self.id(1) }
      #expect(throws: NebulaError.self) {
        try ledger.close(prepared: Self.prepared(Self.id(1), committed), deadLetters: file, now: .zero)
      }
    }
    var ledger = Self.ledger(EpochLimits())
    _ = ledger.note(Self.batch(2, at: 2, rejected: 1), now: .zero) { Self.id(1) }
    #expect(throws: Never.self) {
      let intent = try ledger.close(prepared: Self.prepared(Self.id(1), 2), deadLetters: letters, now: .zero)
      #expect(intent.read == 3 && intent.counts.rejected == 1)
    }
  }

  /// Invariant 1: the receipt of another epoch, or one that speaks of other counts, moves no position.
  @Test func onlyItsOwnReceiptSettlesAnIntent() throws {
    var ledger = Self.ledger(EpochLimits())
    _ = ledger.note(Self.batch(2, at: 2), now: .zero) { Self.id(1) }
    let intent = try ledger.close(prepared: Self.prepared(Self.id(1), 2), deadLetters: nil, now: .zero)
    let right = CommitReceipt(Self.id(1), counts: RecordCounts(committed: 2), rows: 2)
    #expect(try intent.checkpoint(by: right).position == Position([2]))
    #expect(throws: NebulaError.self) {
      try intent.checkpoint(by: CommitReceipt(Self.id(2), counts: RecordCounts(committed: 2), rows: 2))
    }
    #expect(throws: NebulaError.self) {
      try intent.checkpoint(by: CommitReceipt(Self.id(1), counts: RecordCounts(committed: 1), rows: 1))
    }
  }
}
