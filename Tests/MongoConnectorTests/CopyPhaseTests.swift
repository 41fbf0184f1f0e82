import NebulaCore
import Testing

@testable import MongoConnector

/// What batches say of the copy.
@Suite(.serialized, .timeLimit(.minutes(2))) struct CopyPhaseTests {
  static func hasEnded(_ pulled: Pulled) -> Bool {
    pulled.phases.contains { if case .ended = $0 { true } else { false } }
  }
  static func isCopied(_ position: Position?) throws -> Bool { try MongoPosition(#require(position)).isCopied }

  /// Expects a whole copy that began at `since`: under way, its end on the first batch at which all is copied, nothing.
  func expectCopy(_ pulled: Pulled, since: ChangeSequence) throws {
    let end = try #require(pulled.phases.firstIndex(of: .ended(since: since)))
    #expect(pulled.phases[..<end].allSatisfy { $0 == .underway(since: since) })
    #expect(pulled.phases[(end + 1)...].allSatisfy { $0 == .none })
    for (index, step) in pulled.steps.enumerated() {
      #expect(try Self.isCopied(step.position) == (index >= end), "batch \(index), the end is \(end)")
    }
  }

  @Test func aCopyIsUnderwayUntilAllOfItIsThere() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(0..<300)
    var stream = try await source(standin) { $0.batchSize = 10 }.open(from: nil, through: nil)
    var pulled = try await pull(&stream) { $0.rows.count >= 20 }
    try standin.delete("1")
    try standin.update("290", #"{"$set": {"v": 0}}"#)
    try standin.insert(300..<310)
    pulled.append(try await pull(&stream, until: Self.hasEnded))
    try standin.insert(310..<330)
    pulled.append(try await pull(&stream) { $0.rows.contains { $0.key == #"{"_id":329}"# } })
    let copied = pulled.rows.filter { $0.operation == "snapshot" }
    let since = try #require(copied.first?.sequence)
    try expectCopy(pulled, since: since)
    #expect(pulled.phases.first == .underway(since: since) && pulled.steps.first?.read == 0)
    #expect(pulled.phases.last == CopyPhase.none)
    #expect(copied.count >= 300 && copied.allSatisfy { $0.sequence == since })
    let events = pulled.rows.filter { $0.operation != "snapshot" }
    #expect(events.count == 32 && events.allSatisfy { $0.sequence > since })
  }

  @Test func aResumedCopyIsUnderwaySinceItsBeginning() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(0..<60)
    let make = { try source(standin, context(.untilCaughtUp)) { $0.batchSize = 10 } }
    let whole = try await read(make())
    let since = try #require(whole.rows.first?.sequence)
    try expectCopy(whole, since: since)
    // Later events, so that a T0 of the resume would be another one.
    try standin.insert(60..<70)
    for step in whole.steps {
      let rest = try await read(make(), from: step.position)
      if try Self.isCopied(step.position) {
        #expect(!rest.phases.isEmpty && rest.phases.allSatisfy { $0 == .none })
      } else {
        try expectCopy(rest, since: since)
      }
    }
  }

  /// The stream is slower than the copy, and what it brings ends it.
  @Test func theEndMayStandOnABatchWithRecords() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(0..<3)
    try standin.faults(#"{"command": "streamGetMore", "delay_ms": 3000}"#)
    var stream = try await source(standin).open(from: nil, through: nil)
    var pulled = try await pull(&stream) { $0.rows.count == 3 }
    let since = try #require(pulled.rows.first?.sequence)
    try standin.insert(10..<12)
    pulled.append(try await pull(&stream, until: Self.hasEnded))
    try expectCopy(pulled, since: since)
    #expect(pulled.steps.last?.read == 2)
  }

  @Test(arguments: ["", "orders"]) func aCopyOfNothingEnds(collection: String) async throws {
    let standin = try Standin()
    defer { standin.stop() }
    let pulled = try await read(source(standin) { $0.collection = collection }, until: Self.hasEnded)
    let position = try MongoPosition(#require(pulled.position))
    #expect(pulled.phases.last == .ended(since: position.snapshot))
    #expect(collection == "orders" || pulled.phases.count == 1)
    let rest = try await read(source(standin) { $0.collection = collection }, from: pulled.position) {
      $0.steps.count == 2
    }
    #expect(rest.phases == [.none, .none])
  }

  @Test(arguments: [MongoOptions.Start.now, .timestamp]) func withoutACopyThereIsNone(
    start: MongoOptions.Start
  ) async throws {
    let standin = try Standin("--clock-start", "1700000000")
    defer { standin.stop() }
    var stream = try await source(standin) {
      $0.start = start
      if start == .timestamp { $0.startTimestamp = "1700000000" }
    }.open(from: nil, through: nil)
    var pulled = try await pull(&stream) { !$0.steps.isEmpty }
    try standin.insert(0..<5)
    pulled.append(try await pull(&stream) { $0.rows.count == 5 })
    #expect(pulled.rows.count == 5 && pulled.phases.allSatisfy { $0 == .none })
  }

  // MARK: a lost position

  /// Also where nothing happened in between.
  @Test(arguments: [0, 5]) func aCopyMadeAnewBeginsBehindAllThatWasHandedOver(changes: Int) async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(0..<40)
    let first = try await read(source(standin, context(.untilCaughtUp)))
    let old = try #require(first.rows.map(\.sequence).max())
    try standin.insert(40..<40 + changes)
    try standin.faults(#"{"command": "changeStream", "at": 1, "code": 280}"#)
    let again = try await read(
      source(standin, context(.untilCaughtUp)) { ($0.onPositionLost, $0.batchSize) = (.resnapshot, 10) },
      from: first.position)
    #expect(again.phases.first == CopyPhase.none, "the loss is not known yet")
    let since = try #require(again.rows.first?.sequence)
    #expect(since > old)
    #expect(again.rows.count == 40 + changes && again.rows.allSatisfy { $0.sequence == since })
    var copy = again
    copy.steps.removeFirst(try #require(again.phases.firstIndex { $0 != .none }))
    try expectCopy(copy, since: since)
  }

  @Test func aCopyMadeAnewOfADatabaseWithoutCollectionsEnds() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(0..<4)
    let first = try await read(source(standin, context(.untilCaughtUp)) { $0.collection = "" })
    let old = try #require(first.rows.map(\.sequence).max())
    try standin.run(#"{"drop": "orders"}"#)
    try standin.forget()
    let again = try await read(
      source(standin) { ($0.onPositionLost, $0.collection) = (.resnapshot, "") }, from: first.position,
      until: Self.hasEnded)
    let since = try MongoPosition(#require(again.position)).snapshot
    #expect(since > old && again.phases.last == .ended(since: since))
  }

  /// What was copied before the loss is of the same copy: if `since` moved, it would pass for gone.
  @Test func goingOnFromNowKeepsTheBeginningOfTheCopyButNotOfItsRows() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(0..<400)
    let make = { try source(standin) { ($0.onPositionLost, $0.batchSize) = (.fromNow, 10) } }
    var stream = try await make().open(from: nil, through: nil)
    var before = try await pull(&stream) { $0.rows.count >= 30 }
    let since = try #require(before.rows.first?.sequence)
    try standin.delete("399")
    before.append(try await pull(&stream) { $0.rows.contains { $0.operation == "delete" } })
    let position = try #require(before.position)
    #expect(try !Self.isCopied(position))
    try standin.insert(#"{"_id": 399, "v": "again"}"#)
    try standin.forget()
    let after = try await read(make(), from: position, until: Self.hasEnded)
    try expectCopy(after, since: since)
    let events = before.rows.filter { $0.operation != "snapshot" }
    let newest = try #require(events.map(\.sequence).max())
    #expect(newest > since)
    // Read after the loss, so newer than the removal from before it.
    let behind = try #require(after.rows.first { $0.key == #"{"_id":399}"# && $0.operation == "snapshot" })
    #expect(behind.sequence > newest)
    let keys = (before.rows + after.rows).filter { $0.operation == "snapshot" }.map(\.key)
    #expect(keys.count == 400 && Set(keys).count == 400)
    // The beginning stays in the position.
    let middle = try #require(after.steps.first { $0.read > 0 })
    let rest = try await read(make(), from: middle.position, until: Self.hasEnded)
    try expectCopy(rest, since: since)
  }

  func position(at time: UInt64, since: UInt64, _ state: SequenceState, copying: Bool) -> MongoPosition {
    var position = MongoPosition(
      cluster: ClusterIdentity(setName: "rs0", hosts: ["a:1"]), t0: .time(time),
      snapshot: ChangeSequence(clusterTime: time, index: 0), copyStart: ChangeSequence(clusterTime: since, index: 0),
      stream: .time(time), sequence: state)
    if copying { position.ranges[1] = SnapshotRange(namespace: Namespace(database: "d", collection: "c")) }
    return position
  }

  /// A backup was restored, or nothing happened: the order goes on all the same.
  @Test func theOrderGoesOnWhereTheTimeDoesNot() {
    let earlier = position(at: 50, since: 50, SequenceState(clusterTime: 90, next: 3), copying: false)
    for time in [UInt64(60), 90, 100] {
      let opened = position(
        at: time, since: time, .after(ChangeSequence(clusterTime: time, index: 0)), copying: true)
      var position = opened.following(earlier, keepingRanges: false)
      let since = ChangeSequence(clusterTime: max(time, 91), index: 0)
      #expect(position.snapshot == since && position.copyStart == since && position.ranges == opened.ranges)
      #expect(position.readAfter == time, "the server knows of no later time")
      let events = [time, time + 1, 120].map { position.sequence.take($0) }
      #expect(events == events.sorted() && Set(events).count == 3 && events[0] > since)
    }
  }

  @Test func keptRangesKeepTheirBeginning() {
    let opened = position(at: 100, since: 100, .after(ChangeSequence(clusterTime: 100, index: 0)), copying: false)
    let copying = position(at: 50, since: 40, SequenceState(clusterTime: 90, next: 3), copying: true)
    let kept = opened.following(copying, keepingRanges: true)
    #expect(kept.copyStart.clusterTime == 40 && kept.snapshot.clusterTime == 100 && kept.ranges == copying.ranges)
    let copied = position(at: 50, since: 40, SequenceState(clusterTime: 90, next: 3), copying: false)
    #expect(opened.following(copied, keepingRanges: true).isCopied)
  }

  // MARK: whole documents

  func traits(_ set: (inout MongoOptions) -> Void) throws -> SourceTraits {
    var options = MongoOptions()
    (options.uri, options.database) = ("mongodb://a:1/?replicaSet=rs0", "shop")
    set(&options)
    return try MongoSource(options, context()).traits
  }

  @Test func updatesAreWholeWhereTheirDocumentIsAskedFor() throws {
    #expect(try traits { _ in }.hasWholeDocuments)
    #expect(try traits { $0.fullDocument = .required }.hasWholeDocuments)
    #expect(try !traits { $0.fullDocument = .default }.hasWholeDocuments)
    #expect(try !traits { $0.fullDocument = .whenAvailable }.hasWholeDocuments)
  }

  @Test(arguments: [
    (#"{"$match": {"operationType": "insert"}}"#, true), (#"{"$unset": "fullDocument.secret"}"#, true),
    (#"{"$unset": ["updateDescription", "fullDocument.secret"]}"#, true),
    (#"{"$project": {"fullDocument.secret": 0, "updateDescription": false}}"#, true),
    (#"{"$unset": "fullDocument"}"#, false), (#"{"$unset": ["a", "fullDocument"]}"#, false),
    (#"{"$project": {"fullDocument": 0}}"#, false), (#"{"$project": {"operationType": 1}}"#, false),
    (#"{"$project": {"fullDocument": {"secret": 0}}}"#, false), (#"{"$set": {"fullDocument": null}}"#, false),
    (#"{"$replaceWith": {"_id": "$_id"}}"#, false),
  ]) func aStageMayTakeTheDocumentAway(stage: String, isWhole: Bool) throws {
    let whole = try traits { $0.pipeline = .scalar("[\(stage)]", at: .init(path: "pipeline")) }.hasWholeDocuments
    #expect(whole == isWhole)
  }
}

extension Pulled {
  fileprivate mutating func append(_ other: Pulled) {
    rows += other.rows
    steps += other.steps
    position = other.position ?? position
  }
}
