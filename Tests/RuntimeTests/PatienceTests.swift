import NebulaCore
import Synchronization
import Testing

@testable import NebulaRuntime

/// A source that does what it is told, step by step, in each of its sessions.
private final class ScriptedSource: Source {
  typealias Step = @Sendable (_ session: Int, _ step: Int) async throws -> RecordBatch?
  private let step: Step
  private let sessions = Mutex(0)
  init(_ step: @escaping Step) { self.step = step }
  var traits: SourceTraits { SourceTraits() }
  func check() async throws -> [Finding] { [] }
  func open(from position: Position?, through: Position?) async throws -> sending any RecordStream {
    let session = sessions.withLock { count in
      count += 1
      return count
    }
    return Stream(session: session, step: step)
  }
  func acknowledge(through position: DurablePosition) async throws {}
  func close() async {}

  struct Stream: RecordStream {
    let session: Int
    let step: Step
    private var steps = 0
    init(session: Int, step: @escaping Step) { (self.session, self.step) = (session, step) }
    mutating func next() async throws -> RecordBatch? {
      steps += 1
      return try await step(session, steps)
    }
  }
}

/// What starts the patience of `retry_for` anew, and what does not.
@Suite(.timeLimit(.minutes(3))) struct PatienceTests {
  private let folder: TestFolder
  private let clock = SleptClock()
  private let patience = PipelineSettings().retryFor
  init() throws { folder = try TestFolder() }

  /// Cuts an epoch after each record, or none before the source ends.
  private func run(
    _ source: any Source, _ destination: ScriptedDestination = ScriptedDestination(), cuts: Bool = true
  ) async throws {
    var settings = PipelineSettings()
    settings.epoch = EpochLimits(records: cuts ? 1 : nil)
    let store = SQLiteStateStore(
      path: folder("state.sqlite"), clock: clock.timekeeper, holder: holder(), startTime: { _ in nil }, renews: false)
    let pipeline = Pipeline(
      Pipeline.Parts(
        name: "orders", identity: orders, source: source, destination: destination, store: store,
        deadLetters: FileDeadLetterStore(folder: folder("dead")), settings: settings, clock: clock.timekeeper,
        random: { $0.upperBound - 1 }))
    try await pipeline.run()
  }

  private var overdue: NebulaError { NebulaError("model.overdue", "The run should have ended.", remedy: "") }
  /// Takes a while and fails; for good once the run is so late that it would never end.
  private func fail(after pause: Duration = .zero) async throws -> Never {
    try await clock.timekeeper.sleep(pause)
    throw clock.now < patience * 4 ? busy : overdue
  }
  private func expectEnd(_ body: () async throws -> Void) async {
    await #expect(throws: busy) { try await body() }
    #expect(clock.now >= patience && clock.now < patience + .seconds(240), "gave up after \(clock.now)")
  }

  // MARK: what is no proof

  enum Late: CaseIterable { case write, prepare, source }

  /// What is tried again inside, for longer than a steady session takes, fails late in every session.
  @Test(arguments: Late.allCases) func aLateFailureForgivesNone(late: Late) async throws {
    let destination = ScriptedDestination(
      onWrite: { _ in if late == .write { try await fail(after: .seconds(70)) } },
      onPrepare: { if late == .prepare { try await fail(after: .seconds(70)) } })
    let source = ScriptedSource { _, step in
      if late == .source, step > 1 { try await fail(after: .seconds(70)) }
      return late == .source ? .idle(at: nil) : ListSource.batch(1, at: 1)
    }
    await expectEnd { try await run(source, destination) }
  }

  enum Unquiet: CaseIterable { case record, rejected, copy, copyEnd, soon, silence, lateAnswer }

  /// A minute proves nothing while an epoch is open, the source has more, the session is young, or nothing is heard of
  /// the source.
  @Test(arguments: Unquiet.allCases) func aSessionWithoutAQuietMinuteForgivesNone(unquiet: Unquiet) async throws {
    let since = ChangeSequence(clusterTime: 7, index: 0)
    let source = ScriptedSource { _, step in
      switch (unquiet, step) {
      case (.record, 1): return ListSource.batch(1, at: 1)
      case (.rejected, 1): return ListSource.batch(0, rejected: 1, at: 1)
      case (.copyEnd, 1): return .idle(at: nil, copy: .ended(since: since))
      default: break
      }
      try await clock.timekeeper.sleep(.seconds(10))
      if step > (unquiet == .soon ? 5 : 8) { try await fail() }
      let isAnswer =
        switch unquiet {
        case .silence: step == 1
        case .lateAnswer: step > 6
        default: true
        }
      return .idle(at: nil, copy: unquiet == .copy ? .underway(since: since) : .none, isAnswer: isAnswer)
    }
    await expectEnd { try await run(source, ScriptedDestination(followsCopies: true), cuts: false) }
  }

  @Test func aCommitThatFailsBesideAQuietSourceEndsTheRun() async throws {
    let source = ScriptedSource { _, step in
      if step == 1 { return ListSource.batch(1, at: 1) }
      try await clock.timekeeper.sleep(.seconds(10))
      return .idle(at: Position([1]))
    }
    await expectEnd { try await run(source, ScriptedDestination(onCommit: { _ in try await fail() })) }
  }

  // MARK: what is proof

  /// It has no receipt to show, and fails again twenty minutes after the first time.
  @Test func aQuietSourceIsForgivenAnOldFailure() async throws {
    let source = ScriptedSource { session, step in
      if session == 3 { return nil }
      try await clock.timekeeper.sleep(.seconds(10))
      if step > (session == 1 ? 1 : 120) { throw busy }
      return .idle(at: nil)
    }
    try await run(source)
    #expect(clock.now > patience)
  }

  /// Two outages of ten minutes are not one of twenty.
  @Test func aDestinationThatCommittedAgainIsForgiven() async throws {
    let outages = Mutex<[Int: Duration]>([:])
    let destination = ScriptedDestination(onWrite: { batch in
      let end = outages.withLock { outages in
        let end = outages[batch.count] ?? clock.now + .seconds(600)
        outages[batch.count] = end
        return end
      }
      if clock.now < end { try await fail(after: .seconds(70)) }
    })
    try await run(ListSource(batches: [ListSource.batch(1, at: 1), ListSource.batch(2, at: 2)]), destination)
    #expect(clock.now > patience)
  }

  /// One failure in ten minutes, a receipt in each session.
  @Test func aSourceThatFailsNowAndThenIsForgivenByReceipts() async throws {
    let source = ScriptedSource { session, step in
      if session == 6 { return nil }
      if step == 1 { return ListSource.batch(1, at: UInt8(session)) }
      try await fail(after: .seconds(600))
    }
    try await run(source)
    #expect(clock.now > patience * 3)
  }

  // MARK: the decision alone

  @Test func onlyASteadySessionsQuietIsProof() {
    var failures = FailureStreak()
    failures.since = .seconds(5)
    failures.wasQuiet(now: .seconds(500))
    #expect(failures.since == .seconds(5), "its source has not answered")
    failures.sourceAnswered(now: .seconds(500))
    failures.sourceAnswered(now: .seconds(520))
    failures.wasQuiet(now: .milliseconds(559_999))
    #expect(failures.since == .seconds(5))
    var next = failures
    next.sessionStarted()
    next.wasQuiet(now: .seconds(560))
    #expect(next.since == .seconds(5), "it was another session's time")
    failures.wasQuiet(now: .seconds(560))
    #expect(failures.since == nil)
  }

  @Test func aReceiptIsProofAtOnce() {
    var failures = FailureStreak()
    failures.since = .seconds(5)
    failures.receiptStored()
    #expect(failures.since == nil)
  }
}
