import Foundation
import NebulaCore
import Synchronization
import Testing

@testable import NebulaRuntime

/// A clock that moves only by what is slept.
final class SleptClock: Sendable {
  private let slept = Mutex(Duration.zero)
  var now: Duration { slept.withLock { $0 } }
  var timekeeper: Timekeeper {
    Timekeeper(
      monotonic: { self.now }, wall: { 1_800_000_000_000 },
      sleep: { pause in
        try Task.checkCancellation()
        self.slept.withLock { $0 += pause }
        await Task.yield()
      })
  }
}

let busy = NebulaError("model.busy", "Busy.", remedy: "", disposition: .retry(after: nil))

/// Batches at positions 1, 2, …; then it ends, or fails.
struct ListSource: Source {
  let batches: [RecordBatch]
  var failure: NebulaError?
  var onAcknowledge: @Sendable () -> Void = {}
  var traits: SourceTraits { SourceTraits(isBounded: true) }
  func check() async throws -> [Finding] { [] }
  func open(from position: Position?, through: Position?) async throws -> sending any RecordStream {
    ListStream(rest: batches.dropFirst(Int(position?.bytes.first ?? 0)), failure: failure)
  }
  func acknowledge(through position: DurablePosition) async throws { onAcknowledge() }
  func close() async {}

  struct ListStream: RecordStream {
    var rest: ArraySlice<RecordBatch>
    let failure: NebulaError?
    mutating func next() async throws -> RecordBatch? {
      if let batch = rest.popFirst() { return batch }
      if let failure { throw failure }
      return nil
    }
  }

  static func batch(_ count: Int, rejected: Int = 0, at position: UInt8) -> RecordBatch {
    RecordBatch(
      bytes: SharedBytes(copying: Array(repeating: 0, count: count)),
      records: (0..<count).map { ByteRange(UInt32($0), UInt32($0 + 1)) }, format: .json,
      namespaces: [Namespace(collection: "c")], rejected: (0..<rejected).map { _ in Self.bad },
      position: Position([position]))
  }
  static let bad = RejectedRecord(NebulaError("x.bad", "Bad.", remedy: ""), payload: [1], format: .json)
}

/// A destination of which one step can be replaced.
final class ScriptedDestination: Destination {
  let onWrite: @Sendable (RecordBatch) async throws -> Void
  let onPrepare: @Sendable () async throws -> Void
  let onCommit: @Sendable (PreparedEpoch) async throws -> CommitOutcome
  let onAbort: @Sendable () async throws -> Void
  let onRecover: @Sendable (PreparedEpoch) -> EpochFate
  let followsCopies: Bool
  private let written = Mutex<[EpochID: UInt64]>([:])
  private let seen = Mutex<[CopyPhase]>([])
  var phases: [CopyPhase] { seen.withLock { $0 } }
  init(
    followsCopies: Bool = false,
    onWrite: @escaping @Sendable (RecordBatch) async throws -> Void = { _ in },
    onPrepare: @escaping @Sendable () async throws -> Void = {},
    onCommit: @escaping @Sendable (PreparedEpoch) async throws -> CommitOutcome = { .committed($0.receipt) },
    onAbort: @escaping @Sendable () async throws -> Void = {},
    onRecover: @escaping @Sendable (PreparedEpoch) -> EpochFate = { _ in .ready }
  ) {
    self.followsCopies = followsCopies
    self.onWrite = onWrite
    self.onPrepare = onPrepare
    self.onCommit = onCommit
    self.onAbort = onAbort
    self.onRecover = onRecover
  }
  var traits: DestinationTraits { DestinationTraits(followsCopies: followsCopies) }
  func check() async throws -> [Finding] { [] }
  func guarantee(from source: SourceTraits) throws -> Guarantee { .exactlyOnce(because: "") }
  func open(_ lease: Lease) async throws {}
  func begin(_ epoch: EpochID, pin: Pin?) async throws {}
  func write(_ batch: RecordBatch, to epoch: EpochID) async throws {
    try await onWrite(batch)
    written.withLock { $0[epoch, default: 0] += UInt64(batch.count) }
    seen.withLock { $0.append(batch.copy) }
  }
  func prepare(_ epoch: EpochID) async throws -> PreparedEpoch {
    try await onPrepare()
    let count = written.withLock { $0[epoch, default: 0] }
    return PreparedEpoch(epoch, counts: RecordCounts(committed: count), version: 1, manifest: [])
  }
  func commit(_ epoch: PreparedEpoch) async throws -> CommitOutcome { try await onCommit(epoch) }
  func recover(_ epoch: PreparedEpoch) async throws -> EpochFate { onRecover(epoch) }
  func abort(_ epoch: EpochID, _ prepared: PreparedEpoch?) async throws { try await onAbort() }
  func close() async {}
}

extension PreparedEpoch {
  var receipt: CommitReceipt { CommitReceipt(id, counts: counts, rows: counts.committed) }
}

/// A state store whose first write of a kind takes effect, or does not, and then fails.
private final class UnsureStore: StateStore {
  enum Write { case intent, replacement, receipt }
  let real: SQLiteStateStore
  private let failing: Write
  private let failure: NebulaError
  private let left = Atomic(1)
  init(_ real: SQLiteStateStore, failing: Write, with failure: NebulaError = busy) {
    (self.real, self.failing, self.failure) = (real, failing, failure)
  }
  private func fail(_ write: Write) throws {
    guard write == failing, left.exchange(0, ordering: .relaxed) == 1 else { return }
    throw failure
  }
  func acquire(_ pipeline: String, identity: PipelineIdentity) async throws -> Lease {
    try await real.acquire(pipeline, identity: identity)
  }
  func load(_ lease: Lease) async throws -> PipelineState { try await real.load(lease) }
  func store(_ intent: Intent, under lease: Lease) async throws {
    try await real.store(intent, under: lease)
    try fail(.intent)
  }
  func store(_ checkpoint: Checkpoint, under lease: Lease) async throws -> DurablePosition {
    try fail(.receipt)
    return try await real.store(checkpoint, under: lease)
  }
  func replace(_ intent: Intent, under lease: Lease) async throws {
    try fail(.replacement)
    try await real.replace(intent, under: lease)
  }
  func drop(from id: EpochID, pin: Pin?, under lease: Lease) async throws {
    try await real.drop(from: id, pin: pin, under: lease)
  }
  func renew(_ lease: Lease) async throws { try await real.renew(lease) }
  func release(_ lease: Lease) async throws { try await real.release(lease) }
}

/// The pipeline's life around its epochs; what a death does to them is the simulation's.
@Suite(.timeLimit(.minutes(3))) struct PipelineTests {
  private let folder: TestFolder
  private let clock = SleptClock()
  private let store: SQLiteStateStore
  init() throws {
    folder = try TestFolder()
    store = SQLiteStateStore(
      path: folder("state.sqlite"), clock: clock.timekeeper, holder: holder(), startTime: { _ in nil }, renews: false)
  }

  private func pipeline(
    _ source: ListSource, _ destination: ScriptedDestination, _ state: (any StateStore)? = nil,
    _ settings: PipelineSettings = PipelineSettings()
  ) -> Pipeline {
    Pipeline(
      Pipeline.Parts(
        name: "orders", identity: orders, source: source, destination: destination, store: state ?? store,
        deadLetters: FileDeadLetterStore(folder: folder("dead")), settings: settings, clock: clock.timekeeper,
        random: { $0.upperBound - 1 }))
  }
  private var deadLetters: [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder("dead"))) ?? []
    return names.filter { !$0.hasPrefix(".") }.flatMap { name in
      ((try? String(contentsOfFile: folder("dead") + "/" + name, encoding: .utf8)) ?? "").split(separator: "\n")
        .map(String.init)
    }
  }

  @Test func commitsAndSessionsShareOnePatience() async throws {
    let destination = ScriptedDestination(onCommit: { _ in throw busy })
    let pipeline = pipeline(ListSource(batches: [ListSource.batch(2, at: 1)]), destination)
    await #expect(throws: busy) { try await pipeline.run() }
    let patience = PipelineSettings().retryFor
    #expect(clock.now >= patience && clock.now < patience + .seconds(120), "gave up after \(clock.now)")
  }

  /// Invariant 2: what follows the receipt does not come without it.
  @Test func withoutItsReceiptNoDeadLetterIsVisibleAndUpstreamIsNotTold() async throws {
    let refusal = NebulaError("model.refused", "Refused.", remedy: "")
    let acknowledged = Mutex(0)
    var source = ListSource(batches: [ListSource.batch(2, rejected: 1, at: 1)])
    source.onAcknowledge = { acknowledged.withLock { $0 += 1 } }
    let first = pipeline(source, ScriptedDestination(), UnsureStore(store, failing: .receipt, with: refusal))
    await #expect(throws: refusal) { try await first.run() }
    #expect(deadLetters.isEmpty && acknowledged.withLock { $0 } == 0)
    try await pipeline(source, ScriptedDestination(onRecover: { .committed($0.receipt) })).run()
    #expect(deadLetters.count == 1 && acknowledged.withLock { $0 } == 1)
  }

  /// Another host has to wait until the lease runs out, for a COMMIT may still arrive; a refusal is an end.
  @Test func theLeaseIsKeptWhileACommitIsInDoubt() async throws {
    let refusal = NebulaError("model.refused", "Refused.", remedy: "")
    let other = SQLiteStateStore(
      path: folder("state.sqlite"), clock: clock.timekeeper, holder: holder("there", machine: "machine-2"),
      startTime: { _ in nil }, renews: false)
    for (failure, isKept) in [(refusal, false), (busy, true)] {
      let destination = ScriptedDestination(onCommit: { _ in throw failure })
      let pipeline = pipeline(ListSource(batches: [ListSource.batch(2, at: 1)]), destination)
      await #expect(throws: failure) { try await pipeline.run() }
      let lease = try? await other.acquire("orders", identity: orders)
      #expect((lease == nil) == isKept, "after \(failure.code)")
      if let lease { try await other.release(lease) }
    }
  }

  @Test func aStopDuringACleanUpIsHeard() async throws {
    let (entered, enter) = AsyncStream.makeStream(of: Void.self)
    let destination = ScriptedDestination(onAbort: {
      enter.finish()
      try await Task.sleep(for: .seconds(3600))  // until it is cancelled
    })
    let failure = NebulaError("model.broken", "Broken.", remedy: "")
    let pipeline = pipeline(ListSource(batches: [ListSource.batch(2, at: 1)], failure: failure), destination)
    let end = Task { try await pipeline.run() }
    for await _ in entered {}
    pipeline.stop()
    await #expect(throws: failure) { try await end.value }
  }

  @Test func rejectedRecordsSurviveALostAnswerToTheirIntent() async throws {
    let source = ListSource(batches: [ListSource.batch(0, rejected: 3, at: 1), ListSource.batch(2, at: 2)])
    let pipeline = pipeline(source, ScriptedDestination(), UnsureStore(store, failing: .intent))
    try await pipeline.run()
    #expect(deadLetters.count == 3)
    let counts = await pipeline.progress.counts
    #expect(counts == RecordCounts(committed: 2, rejected: 3))
  }

  @Test func anEpochThatItsLoadCorrectedIsReplacedOnce() async throws {
    let isFirst = Atomic(1)
    let destination = ScriptedDestination(onCommit: { epoch in
      guard isFirst.exchange(0, ordering: .relaxed) == 1 else { return .committed(epoch.receipt) }
      let corrected = PreparedEpoch(
        epoch.id, counts: RecordCounts(committed: epoch.counts.committed - 1, rejected: 1), version: 1, manifest: [1])
      return .replaced(corrected, [ListSource.bad])
    })
    let pipeline = pipeline(
      ListSource(batches: [ListSource.batch(3, at: 1)]), destination, UnsureStore(store, failing: .replacement))
    try await pipeline.run()
    #expect(deadLetters.count == 1)
    let counts = await pipeline.progress.counts
    #expect(counts == RecordCounts(committed: 2, rejected: 1))
  }

  @Test func aCorrectionCountsAgainstMaxRejected() async throws {
    var settings = PipelineSettings()
    settings.maxRejected = 0
    let destination = ScriptedDestination(onCommit: { epoch in
      .replaced(PreparedEpoch(epoch.id, counts: RecordCounts(rejected: 1), version: 1, manifest: []), [ListSource.bad])
    })
    let pipeline = pipeline(ListSource(batches: [ListSource.batch(1, at: 1)]), destination, nil, settings)
    let error = await #expect(throws: NebulaError.self) { try await pipeline.run() }
    #expect(error?.code == "pipeline.too_many_rejected")
  }

  /// Invariant 7b: what is read again must not be visible already.
  @Test func anEpochThatIsVisibleBehindOneThatIsGoneStopsIt() async throws {
    let lease = try await store.acquire("orders", identity: orders)
    let ids = (1...2).map { EpochID(generation: lease.generation, sequence: $0) }
    try await store.store(intent(ids[0], after: nil), under: lease)
    try await store.store(intent(ids[1], after: ids[0]), under: lease)
    try await store.release(lease)
    let destination = ScriptedDestination(onRecover: { $0.id == ids[0] ? .gone : .committed($0.receipt) })
    let error = await #expect(throws: NebulaError.self) {
      try await pipeline(ListSource(batches: []), destination).run()
    }
    #expect(error?.code == .gap)
  }

  /// A destination that merges finds out what is gone from the source when a copy ends, also if no record comes then.
  @Test(arguments: [false, true]) func theEndOfACopyReachesWhoFollowsIt(follows: Bool) async throws {
    let since = ChangeSequence(clusterTime: 7, index: 0)
    let committed = Mutex<[RecordCounts]>([])
    let destination = ScriptedDestination(
      followsCopies: follows,
      onCommit: { epoch in
        committed.withLock { $0.append(epoch.counts) }
        return .committed(epoch.receipt)
      })
    let batches: [RecordBatch] = [
      .idle(at: Position([1]), copy: .underway(since: since)), .idle(at: Position([2]), copy: .ended(since: since)),
      .idle(at: Position([3])),
    ]
    try await pipeline(ListSource(batches: batches), destination).run()
    #expect(destination.phases == (follows ? [.ended(since: since)] : []))
    #expect(committed.withLock { $0 } == (follows ? [RecordCounts()] : []))
  }

  @Test func columnsThatChangeInsideAPinnedEpochStopIt() {
    let pin = Pin(from: nil, through: Position([9]), done: [:])
    var ledger = EpochLedger(
      tail: nil, position: nil, pin: pin, limits: EpochLimits(), idleInterval: .seconds(1), now: .zero)
    _ = ledger.note(ListSource.batch(1, at: 1), now: .zero) { EpochID(generation: 1, sequence: 1) }
    var other = ListSource.batch(1, at: 2)
    other = RecordBatch(
      bytes: other.bytes, records: other.records, format: .csv, namespaces: other.namespaces,
      schema: RecordSchema(columns: [.init("a")]), position: Position([2]))
    #expect(throws: NebulaError.self) { try ledger.mustCut(before: other) }
  }
}
