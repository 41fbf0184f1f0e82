import NebulaCore
import NebulaFormats
import Testing

@testable import MongoConnector

/// Against the stand-in, a child process each.
@Suite(.serialized, .timeLimit(.minutes(3))) struct StandinTests {
  // MARK: copy

  static let mixedIDs = [
    #"{"$minKey": 1}"#, "null", "-7", "3", "3.5", #"{"$numberLong": "9007199254740993"}"#,
    #"{"$numberDecimal": "12.25"}"#,
    #""""#, #""a""#, #""zebra""#, #"{"a": 1}"#, #"{"a": 1, "b": [1]}"#, #"{"a": {"b": "c"}}"#,
    #"{"$binary": {"base64": "AAEC", "subType": "00"}}"#,
    #"{"$binary": {"base64": "AAECAwQFBgcICQoLDA0ODw==", "subType": "04"}}"#,
    #"{"$oid": "65f000000000000000000001"}"#, #"{"$oid": "65f0000000000000000000ff"}"#, "false", "true",
    #"{"$date": "2026-01-01T00:00:00Z"}"#, #"{"$timestamp": {"t": 1, "i": 2}}"#, #"{"$maxKey": 1}"#,
  ]

  @Test(arguments: [1, 3, 100]) func aCopyOfMixedIdsIsWhole(batchSize: Int) async throws {
    let standin = try Standin()
    defer { standin.stop() }
    for id in Self.mixedIDs.shuffled() { try standin.insert(#"{"_id": \#(id), "v": 1}"#) }
    let pulled = try await read(source(standin, context(.untilCaughtUp)) { $0.batchSize = batchSize })
    #expect(pulled.isOver)
    let keys = pulled.rows.filter { $0.operation == "snapshot" }.map(\.key)
    #expect(keys.count == Self.mixedIDs.count)
    #expect(Set(keys).count == Self.mixedIDs.count)
  }

  @Test func aCopyResumesAtEveryBatchWithExactlyTheRest() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    for id in Self.mixedIDs { try standin.insert(#"{"_id": \#(id), "v": 1}"#) }
    try standin.insert(100..<140)
    let make = { try source(standin, context(.untilCaughtUp)) { $0.batchSize = 7 } }
    let whole = try await read(make())
    let all = Set(whole.rows.filter { $0.operation == "snapshot" }.map(\.key))
    #expect(all.count == Self.mixedIDs.count + 40)
    var before: Set<String> = []
    for batch in whole.batches where batch.changes?.operations.first == .snapshot {
      before.formUnion(Row.rows(of: batch).map(\.key))
      let rest = try await read(make(), from: batch.position)
      let after = rest.rows.filter { $0.operation == "snapshot" }.map(\.key)
      #expect(Set(after).count == after.count)
      #expect(before.isDisjoint(with: after))
      #expect(before.union(after) == all)
    }
    #expect(before == all)
  }

  @Test func copiedRowsCarryT0AndEventsComeAfterThem() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(0..<10)
    var stream = try await source(standin).open(from: nil, through: nil)
    let first = try await stream.next()
    #expect(first?.position != nil && first?.count == 0)
    var pulled = try await pull(&stream) { $0.rows.count == 10 }
    #expect(Set(pulled.rows.map(\.token)).count == 1)
    #expect(pulled.rows.allSatisfy { $0.operation == "snapshot" && $0.token.hasPrefix("82") && !$0.document.isEmpty })
    #expect(pulled.rows[3].key == #"{"_id":3}"#)
    let copied = pulled.rows[0]
    try standin.update("3", #"{"$set": {"v": 4}}"#)
    try standin.delete("4")
    try standin.update("5", #"{"other": true}"#)
    try standin.insert(#"{"_id": 77}"#)
    pulled = try await pull(&stream) { $0.rows.count == 4 }
    #expect(pulled.rows.map(\.operation) == ["update", "delete", "replace", "insert"])
    #expect(pulled.rows.allSatisfy { $0.sequence > copied.sequence && $0.time >= copied.time })
    #expect(pulled.rows[0].document == #"{"_id":3,"v":4}"#)
    #expect(pulled.rows[0].update.contains(#""updatedFields":{"v":4}"#))
    #expect(pulled.rows[1].document.isEmpty && pulled.rows[1].key == #"{"_id":4}"#)
    #expect(pulled.rows[3].namespace == "shop.orders")
  }

  @Test func rangesAreReadByServeralReaders() async throws {
    let standin = try Standin("--documents", "30000", "--mixed-ids")
    defer { standin.stop() }
    let pulled = try await read(
      source(standin, context(.untilCaughtUp)) { ($0.snapshotRanges, $0.snapshotReaders) = (5, 3) }, seconds: 60)
    let keys = pulled.rows.filter { $0.operation == "snapshot" }.map(\.key)
    #expect(keys.count == 30_000 && Set(keys).count == 30_000)
    let first = try MongoPosition(#require(pulled.batches.first?.position))
    #expect(first.ranges.count >= 3)
    #expect(try MongoPosition(#require(pulled.position)).isCopied)
  }

  @Test func aDatabaseAndADeploymentAreCopiedAndFollowed() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(#"{"_id": 1}"#, into: "a")
    try standin.insert(#"{"_id": 1}"#, into: "b")
    try standin.run(#"{"insert": "c", "documents": [{"_id": 1}]}"#, on: "other")
    for (database, expected) in [("shop", 2), ("", 4)] {
      var stream = try await source(standin) { ($0.database, $0.collection) = (database, "") }.open(
        from: nil, through: nil)
      let copied = try await pull(&stream) { $0.rows.count == expected }
      #expect(copied.rows.count == expected)
      try standin.insert(#"{"_id": "new \#(expected)"}"#, into: "later\(expected)")
      let event = try await pull(&stream) { !$0.rows.isEmpty }
      #expect(event.rows.last?.namespace == "shop.later\(expected)")
    }
    let listed = try await read(
      source(standin, context(.untilCaughtUp)) {
        ($0.database, $0.collection, $0.collections) = ("", "", ["shop.b", "other.c"])
      })
    #expect(Set(listed.rows.map(\.namespace)) == ["shop.b", "other.c"])
  }

  @Test func anEmptyAndAMissingCollectionEnd() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    let pulled = try await read(source(standin, context(.untilCaughtUp)))
    #expect(pulled.isOver && pulled.rows.isEmpty)
    #expect(try MongoPosition(#require(pulled.position)).isCopied)
  }

  // MARK: stream

  @Test func everyBatchIsAPlaceToResume() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    let make = { try source(standin) { ($0.start, $0.batchSize) = (.now, 9) } }
    var stream = try await make().open(from: nil, through: nil)
    let start = try await stream.next()?.position
    try standin.insert(0..<100)
    for id in 0..<20 { try standin.update("\(id)", #"{"$inc": {"v": 1}}"#) }
    let whole = try await pull(&stream) { $0.rows.count == 120 }
    #expect(whole.rows.count == 120)
    var seen = 0
    for batch in [nil] + whole.batches.map(Optional.some) {
      seen += batch?.count ?? 0
      let left = 120 - seen
      let rest = try await read(make(), from: batch?.position ?? start, seconds: 10) {
        left > 0 && $0.rows.count == left || left == 0 && $0.position != nil
      }
      #expect(rest.rows.map(\.token) == whole.rows.dropFirst(seen).map(\.token))
      #expect(rest.rows.map(\.sequence) == whole.rows.dropFirst(seen).map(\.sequence))
    }
    #expect(seen == 120)
  }

  @Test func sequencesOfOneClusterTimeGoOnAfterAResume() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    let make = { try source(standin) { ($0.start, $0.batchSize) = (.now, 4) } }
    var stream = try await make().open(from: nil, through: nil)
    _ = try await stream.next()
    let documents = (0..<10).map { #"{"_id": \#($0)}"# }.joined(separator: ",")
    try standin.run(#"{"sandboxGroup": "shop.orders", "documents": [\#(documents)]}"#)
    let whole = try await pull(&stream) { $0.rows.count == 10 }
    #expect(Set(whole.rows.map(\.sequence.clusterTime)).count == 1)
    #expect(whole.rows.map(\.sequence) == whole.rows.map(\.sequence).sorted())
    #expect(Set(whole.rows.map(\.sequence)).count == 10)
    let rest = try await read(make(), from: whole.batches[0].position) { $0.rows.count == 6 }
    #expect(rest.rows.map(\.sequence) == whole.rows.dropFirst(4).map(\.sequence))
  }

  @Test func anUpdateOfADeletedDocumentStaysAnUpdate() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(0..<1)
    let make = { try source(standin) { $0.start = .now } }
    let start = try await read(make()) { $0.position != nil }
    try standin.update("0", #"{"$set": {"v": 5}}"#)
    try standin.delete("0")
    let pulled = try await read(make(), from: start.position) { $0.rows.count == 2 }
    #expect(pulled.rows.map(\.operation) == ["update", "delete"])
    #expect(pulled.rows[0].document.isEmpty && pulled.rows[0].key == #"{"_id":0}"#)
  }

  @Test func imagesBeforeTheChange() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.run(#"{"create": "orders", "changeStreamPreAndPostImages": {"enabled": true}}"#)
    try standin.insert(0..<1)
    var stream = try await source(standin) {
      ($0.start, $0.fullDocument, $0.fullDocumentBeforeChange) = (.now, .required, .required)
    }.open(from: nil, through: nil)
    _ = try await stream.next()
    try standin.update("0", #"{"$set": {"v": 5}}"#)
    try standin.delete("0")
    let pulled = try await pull(&stream) { $0.rows.count == 2 }
    #expect(pulled.rows.map(\.before) == [#"{"_id":0,"v":0}"#, #"{"_id":0,"v":5}"#])
    #expect(pulled.rows[0].document == #"{"_id":0,"v":5}"#)
  }

  @Test func otherOperationsArePassedOnWhole() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    var stream = try await source(standin) { ($0.start, $0.collection, $0.showExpandedEvents) = (.now, "", true) }
      .open(from: nil, through: nil)
    _ = try await stream.next()
    try standin.run(#"{"create": "fresh"}"#)
    try standin.run(#"{"createIndexes": "fresh", "indexes": [{"key": {"a": 1}, "name": "a"}]}"#)
    try standin.run(#"{"renameCollection": "shop.fresh", "to": "shop.stale"}"#, on: "admin")
    try standin.run(#"{"drop": "stale"}"#)
    let pulled = try await pull(&stream) { rows in rows.rows.last?.operation == "drop" }
    let operations = pulled.rows.map(\.operation)
    #expect(operations.contains("create") && operations.contains("rename"))
    #expect(
      pulled.rows.allSatisfy { $0.update.contains(#""operationType":"\#($0.operation)""#) && $0.document.isEmpty })
  }

  @Test func aPipelineFilters() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    var stream = try await source(standin) {
      $0.start = .now
      $0.pipeline = .scalar(#"[{"$match": {"operationType": "delete"}}]"#, at: .init(path: "pipeline"))
    }.open(from: nil, through: nil)
    _ = try await stream.next()
    try standin.insert(0..<50)
    try standin.delete("7")
    let pulled = try await pull(&stream) { !$0.rows.isEmpty }
    #expect(pulled.rows.map(\.operation) == ["delete"])
  }

  @Test func aTimeToStartAt() async throws {
    let standin = try Standin("--clock-start", "1700000000")
    defer { standin.stop() }
    try standin.insert(0..<10)
    for (text, expected) in [("1700000000", 10), ("2023-11-14T22:13:20Z", 10), ("1699999999:3", 10)] {
      let pulled = try await read(
        source(standin, context(.untilCaughtUp)) { ($0.start, $0.startTimestamp) = (.timestamp, text) })
      #expect(pulled.rows.filter { $0.operation == "insert" }.count == expected, "\(text)")
    }
  }

  @Test func aQuietStreamMovesItsToken() async throws {
    let standin = try Standin("--noop-seconds", "0.1")
    defer { standin.stop() }
    var stream = try await source(standin) { $0.start = .now }.open(from: nil, through: nil)
    var positions: Set<Position> = []
    let start = ContinuousClock.now
    while positions.count < 4, ContinuousClock.now - start < .seconds(10) {
      if let position = try await stream.next()?.position { positions.insert(position) }
    }
    #expect(positions.count == 4)
  }

  // MARK: invalidate

  @Test(arguments: ["", "orders"]) func aDropIsDeliveredAndTheStreamGoesOn(collection: String) async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(0..<3)
    let make = { try source(standin) { ($0.start, $0.collection) = (.now, collection) } }
    var stream = try await make().open(from: nil, through: nil)
    _ = try await stream.next()
    let drop = collection.isEmpty ? #"{"dropDatabase": 1}"# : #"{"drop": "orders"}"#
    var positions: [Position] = []
    var tokens: [String] = []
    for round in 0..<2 {
      try standin.run(drop)
      try standin.insert(0..<3)
      let pulled = try await pull(&stream) { $0.rows.filter { $0.operation == "insert" }.count == 3 }
      let operations = pulled.rows.map(\.operation)
      #expect(operations.contains("invalidate"), "round \(round): \(operations)")
      #expect(operations.suffix(3) == ["insert", "insert", "insert"])
      #expect(pulled.rows.map(\.sequence) == pulled.rows.map(\.sequence).sorted())
      positions += pulled.batches.compactMap(\.position)
      tokens += pulled.rows.map(\.token)
    }
    // Every place, also that of an invalidate, can be resumed from.
    for position in positions {
      let rest = try await read(make(), from: position, seconds: 5) { $0.rows.last?.token == tokens.last }
      #expect(rest.rows.map(\.token) == tokens.suffix(rest.rows.count))
    }
  }

  /// Then an empty answer ends the cursor, with the invalidate's token.
  @Test func aDropThatIsFilteredOutIsPassed() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(0..<3)
    var stream = try await source(standin) {
      $0.start = .now
      $0.pipeline = .scalar(#"[{"$match": {"operationType": "insert"}}]"#, at: .init(path: "pipeline"))
    }.open(from: nil, through: nil)
    _ = try await stream.next()
    for round in 0..<3 {
      try standin.run(#"{"drop": "orders"}"#)
      try standin.insert(round * 10..<round * 10 + 2)
      let pulled = try await pull(&stream) { $0.rows.count == 2 }
      #expect(pulled.rows.map(\.key) == [0, 1].map { #"{"_id":\#(round * 10 + $0)}"# })
      #expect(pulled.rows.allSatisfy { $0.operation == "insert" })
    }
  }

  // MARK: faults

  static let faults = [
    #"{"command": "streamGetMore", "at": 3, "code": 91}"#,
    #"{"command": "streamGetMore", "at": 3, "code": 91, "labels": []}"#,
    #"{"command": "streamGetMore", "at": 3, "times": 2, "code": 91}"#,
    #"{"command": "streamGetMore", "at": 3, "times": 3, "close": "before"}"#,
    #"{"command": "streamGetMore", "at": 3, "close": "after"}"#,
    #"{"command": "streamGetMore", "at": 3, "partial": true}"#,
    #"{"command": "streamGetMore", "at": 3, "kill_cursor": true}"#,
    #"{"command": "streamGetMore", "at": 3, "stepdown": true}"#,
    #"{"command": "streamGetMore", "at": 2, "code": 43}"#,
    #"{"command": "changeStream", "at": 2, "code": 91}"#,
    #"{"command": "scanGetMore", "at": 2, "close": "after"}"#,
    #"{"command": "scanGetMore", "at": 2, "partial": true}"#,
    #"{"command": "scanGetMore", "at": 2, "kill_cursor": true}"#,
    #"{"command": "find", "at": 1, "close": "before"}"#,
    #"{"command": "find", "at": 1, "code": 134, "times": 2}"#,
    #"{"command": "scanGetMore", "at": 1, "code": 134}"#,
    #"{"command": "changeStream", "at": 1, "code": 134}"#,
  ]

  @Test(arguments: faults) func nothingIsLostNorDoubledBy(fault: String) async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(0..<200)
    let before = try await read(
      source(standin) {
        $0.start = .snapshot; $0.batchSize = 30
      }
    ) { $0.position != nil }
    try standin.insert(200..<500)
    try standin.faults(fault)
    let pulled = try await read(source(standin, context(.untilCaughtUp)) { $0.batchSize = 30 }, from: before.position)
    #expect(pulled.isOver)
    let copied = pulled.rows.filter { $0.operation == "snapshot" }.map(\.key)
    let inserted = pulled.rows.filter { $0.operation == "insert" }.map(\.key)
    #expect(Set(copied).isSuperset(of: (0..<200).map { #"{"_id":\#($0)}"# }) && Set(copied).count == copied.count)
    #expect(inserted == (200..<500).map { #"{"_id":\#($0)}"# })
  }

  @Test func errorsWithoutEndGiveUpAndCanBeTriedAgain() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.faults(#"{"command": "streamGetMore", "times": -1, "code": 91}"#)
    let error = await #expect(throws: NebulaError.self) { try await read(source(standin) { $0.start = .now }) }
    #expect(error?.isRetryable == true)
    #expect(error?.code == "mongo.interrupted" && error?.native?.contains("91") == true)
  }

  @Test func unknownErrorsStop() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.faults(#"{"command": "streamGetMore", "code": 4711, "message": "what is this"}"#)
    let error = await #expect(throws: NebulaError.self) { try await read(source(standin) { $0.start = .now }) }
    #expect(error?.isRetryable == false && error?.message.contains("what is this") == true)
  }

  // MARK: a lost position

  @Test func aLostPositionIsAnErrorByDefault() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    let start = try await read(source(standin) { $0.start = .now }) { $0.position != nil }
    try standin.insert(0..<10)
    try standin.forget()
    let error = await #expect(throws: NebulaError.self) {
      try await read(source(standin) { $0.start = .now }, from: start.position)
    }
    #expect(error?.code == "mongo.position_lost" && error?.isRetryable == false)
    #expect(error?.native?.contains("286") == true && error?.remedy.contains("resnapshot") == true)
  }

  @Test func aLostPositionMayBeCopiedAnew() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    let lines = Lines()
    let start = try await read(source(standin) { $0.start = .now }) { $0.position != nil }
    try standin.insert(0..<10)
    try standin.forget()
    let pulled = try await read(
      source(standin, context(.untilCaughtUp, log: lines)) { $0.onPositionLost = .resnapshot }, from: start.position)
    #expect(pulled.isOver && pulled.rows.filter { $0.operation == "snapshot" }.count == 10)
    #expect(lines.all.contains { $0.contains("position is lost") })
  }

  @Test func aCopyThatOutlastsTheOplogIsNotBegunForEver() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(0..<100)
    try standin.faults(#"{"command": "streamGetMore", "times": -1, "code": 286, "delay_ms": 200}"#)
    let lines = Lines()
    let error = await #expect(throws: NebulaError.self) {
      try await read(
        source(standin, context(log: lines)) {
          $0.onPositionLost = .resnapshot
          $0.batchSize = 10
        })
    }
    #expect(error?.code == "mongo.position_lost")
    #expect(lines.all.count { $0.contains("position is lost") } == 3)
  }

  @Test func aLostPositionMayBeGivenUp() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    let lines = Lines()
    let start = try await read(source(standin) { $0.start = .now }) { $0.position != nil }
    try standin.insert(0..<10)
    try standin.forget()
    var stream = try await source(standin, context(log: lines)) { $0.onPositionLost = .fromNow }
      .open(from: start.position, through: nil)
    _ = try await pull(&stream) { _ in lines.all.contains { $0.contains("LOST") } }
    _ = try await stream.next()
    try standin.insert(10..<12)
    let pulled = try await pull(&stream) { $0.rows.count == 2 }
    #expect(pulled.rows.map(\.key) == [#"{"_id":10}"#, #"{"_id":11}"#])
  }

  @Test func anotherClustersPositionIsRefused() async throws {
    let one = try Standin()
    let two = try Standin()
    defer {
      one.stop()
      two.stop()
    }
    let start = try await read(source(one) { $0.start = .now }) { $0.position != nil }
    let error = await #expect(throws: NebulaError.self) { try await read(source(two), from: start.position) }
    #expect(error?.code == "mongo.other_cluster")
  }

  // MARK: large events

  @Test(arguments: [1, 2, 1000]) func splitEventsAreWholeAgain(batchSize: Int) async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.run(#"{"sandboxSet": {"splitBytes": 3000}}"#)
    let make = { try source(standin) { ($0.start, $0.batchSize) = (.now, batchSize) } }
    var stream = try await make().open(from: nil, through: nil)
    let start = try await stream.next()?.position
    try standin.insert(#"{"_id": 0}"#)
    try standin.insert(#"{"_id": 1, "v": "\#(String(repeating: "x", count: 2500))"}"#)
    try standin.update("1", #"{"$set": {"v": "\#(String(repeating: "y", count: 2600))"}}"#)
    try standin.insert(#"{"_id": 2}"#)
    try standin.update("1", #"{"$set": {"v": "\#(String(repeating: "z", count: 2700))"}}"#)
    let whole = try await pull(&stream) { $0.rows.count == 5 }
    #expect(whole.rows.map(\.operation) == ["insert", "insert", "update", "insert", "update"])
    // The looked-up document is the one of the moment in which the event was served.
    #expect(whole.rows[2].update.contains("yyyy"))
    #expect(whole.rows[2].document.contains("yyyy") || whole.rows[2].document.contains("zzzz"))
    #expect(!whole.rows[2].update.contains("splitEvent"))
    #expect(whole.rows[2].key == #"{"_id":1}"#)
    #expect(Set(whole.rows.map(\.sequence)).count == 5)
    var seen = 0
    for batch in [nil] + whole.batches.map(Optional.some) {
      seen += batch?.count ?? 0
      let rest = try await read(make(), from: batch?.position ?? start, seconds: 5) { $0.rows.count == 5 - seen }
      #expect(rest.rows.map(\.key) == whole.rows.dropFirst(seen).map(\.key))
    }
  }

  @Test func splitEventsSurviveABreakBetweenTheirFragments() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.run(#"{"sandboxSet": {"splitBytes": 3000}}"#)
    var stream = try await source(standin) { ($0.start, $0.batchSize) = (.now, 1) }.open(from: nil, through: nil)
    _ = try await stream.next()
    try standin.faults(#"{"command": "streamGetMore", "at": 3, "times": 1, "close": "after"}"#)
    try standin.insert(#"{"_id": 1, "v": "\#(String(repeating: "x", count: 2500))"}"#)
    try standin.update("1", #"{"$set": {"v": "\#(String(repeating: "y", count: 2600))"}}"#)
    try standin.insert(#"{"_id": 2}"#)
    let pulled = try await pull(&stream) { $0.rows.count == 3 }
    #expect(pulled.rows.map(\.key) == [1, 1, 2].map { #"{"_id":\#($0)}"# })
  }

  @Test func anEventThatIsTooLargeIsRejectedAndTheRestGoesOn() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    var options = MongoOptions()
    (options.uri, options.database, options.collection, options.maxAwaitTimeMS) = (standin.uri, "shop", "orders", 100)
    options.start = .now
    var settings = try MongoSettings(options)
    settings.splitsLargeEvents = false
    var stream = try await MongoSource(settings, context()).open(from: nil, through: nil)
    _ = try await stream.next()
    try standin.insert(0..<5)
    try standin.run(
      #"{"insert": "orders", "documents": [{"_id": "big", "v": "\#(String(repeating: "x", count: 9 << 20))"}]}"#)
    try standin.update(#""big""#, #"{"$set": {"v": "\#(String(repeating: "y", count: 9 << 20))"}}"#)
    try standin.insert(5..<10)
    let pulled = try await pull(&stream) { $0.rows.count == 11 && $0.rejected.count == 1 }
    #expect(pulled.rows.map(\.operation) == Array(repeating: "insert", count: 11))
    #expect(pulled.rejected.count == 1)
    let rejected = try #require(pulled.rejected.first)
    #expect(rejected.error.code == "mongo.event_too_large" && rejected.error.disposition == .reject)
    #expect(rejected.error.place?.key?.hasPrefix("82") == true)
    let key = rejected.payload.withUnsafeBytes { BSON.find("documentKey", in: $0)?.subdocument.map { Array($0) } }
    #expect(try key == extendedJSON(#"{"_id": "big"}"#))
  }

  @Test func anEventOf18MBIsSplitAndWholeAgain() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(#"{"_id": 1, "v": "\#(String(repeating: "x", count: 9 << 20))"}"#)
    var stream = try await source(standin) { $0.start = .now }.open(from: nil, through: nil)
    _ = try await stream.next()
    try standin.update("1", #"{"$set": {"v": "\#(String(repeating: "y", count: 9 << 20))"}}"#)
    try standin.insert(0..<1)
    var sizes: [Int] = []
    while sizes.count < 2, let batch = try await stream.next() {
      sizes += batch.records.map(\.count)
      #expect(batch.rejected.isEmpty)
      guard let changes = batch.changes, changes.count == 1, changes.operations[0] == .update else { continue }
      #expect(changes.documents[0].count > 9 << 20 && changes.updates[0].count > 9 << 20)
      #expect(batch.withBytes { BSON.validate($0.slice(batch.records[0])) } == nil)
    }
    #expect(sizes.count == 2 && sizes[0] > 18 << 20)
  }

  @Test func aDocumentOf15MBPasses() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    let text = String(repeating: "x", count: 15_900_000)
    try standin.insert(#"{"_id": 1, "v": "\#(text)"}"#)
    let small = context(.untilCaughtUp, budget: 8 << 20)
    var stream = try await source(standin, small).open(from: nil, through: nil)
    var sizes: [Int] = []
    while let batch = try await stream.next() {
      if let document = batch.changes?.documents.first { sizes.append(document.count) }
    }
    #expect(sizes.count == 1 && sizes[0] > 15_900_000)
    let again = try source(standin, context(budget: 8 << 20)) { $0.start = .now }
    stream = try await again.open(from: nil, through: nil)
    _ = try await stream.next()
    try standin.update("1", #"{"$set": {"w": 1}}"#)
    let pulled = try await pull(&stream) { !$0.rows.isEmpty }
    #expect((pulled.rows.first?.document.utf8.count ?? 0) > 15_900_000)
    await again.close()
  }

  @Test func malformedBSONIsRejectedAndTheRestGoesOn() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    // A string that is not UTF-8, behind a good _id.
    var bad = BSONBuilder {
      $0.append("_id", "bad")
      $0.append("v", "\u{7f}\u{7f}")
    }.document
    bad[bad.count - 4] = 0xFF
    func put() -> String {
      #"{"sandboxPut": "shop.orders", "bson": {"$binary": {"base64": "\#(base64(bad))", "subType": "00"}}}"#
    }
    try standin.insert(0..<3)
    try standin.run(put())
    let copied = try await read(source(standin, context(.untilCaughtUp)))
    #expect(copied.rows.count == 3 && copied.rejected.count == 1)
    var stream = try await source(standin) { $0.start = .now }.open(from: nil, through: nil)
    _ = try await stream.next()
    try standin.insert(10..<12)
    bad[9 + 4] = UInt8(ascii: "x")
    try standin.run(put())
    try standin.insert(12..<14)
    let pulled = try await pull(&stream, seconds: 5) { $0.rows.count >= 4 && !$0.rejected.isEmpty }
    #expect(pulled.rows.count == 4)
    #expect(pulled.rejected.allSatisfy { $0.error.disposition == .reject && $0.error.code == "formats.malformed_bson" })
  }

  // MARK: ending

  @Test func caughtUpUnderConstantWrites() async throws {
    let standin = try Standin("--documents", "2000")
    defer { standin.stop() }
    try standin.run(#"{"sandboxWorkload": "shop.orders", "rate": 500, "seconds": 60}"#)
    let start = ContinuousClock.now
    let pulled = try await read(source(standin, context(.untilCaughtUp)), seconds: 40)
    #expect(pulled.isOver)
    #expect(ContinuousClock.now - start < .seconds(15))
    #expect(pulled.rows.filter { $0.operation == "snapshot" }.count >= 1900)
  }

  /// Stops after a random batch and goes on from its position, again and again, while the collection changes: every
  /// event comes once and in order, every document is copied at most once, and the last change of each key is the
  /// collection's document.
  @Test(arguments: [1, 2]) func nothingIsLostNorDoubledByResumingAnywhere(seed: UInt64) async throws {
    let standin = try Standin("--documents", "12000", "--mixed-ids")
    defer { standin.stop() }
    try standin.run(#"{"sandboxWorkload": "shop.orders", "seed": \#(seed), "rate": 800, "changes": 2500}"#)
    var random = Random(state: seed)
    let make = { (mode: RunMode) in
      try source(standin, context(mode)) { ($0.batchSize, $0.snapshotRanges, $0.snapshotReaders) = (97, 4, 3) }
    }
    var rows: [Row] = []
    var position: Position?
    var first: Position?
    for _ in 0..<12 {
      let wanted = Int.random(in: 1...30, using: &random)
      let pulled = try await read(make(.continuous), from: position, seconds: 10) { $0.batches.count >= wanted }
      rows += pulled.rows
      position = pulled.position
      first = first ?? pulled.batches.first?.position
    }
    let start = ContinuousClock.now
    while try standin.status("events") ?? 0 < 2500, ContinuousClock.now - start < .seconds(30) {
      try await Task.sleep(for: .milliseconds(100))
    }
    let last = try await read(make(.untilCaughtUp), from: position, seconds: 60)
    #expect(last.isOver)
    rows += last.rows

    var whole = try MongoPosition(#require(first))
    whole.ranges = [:]
    whole.stream = whole.t0
    whole.sequence = .after(whole.snapshot)
    let all = try await read(make(.untilCaughtUp), from: whole.encoded(), seconds: 60)
    let events = rows.filter { $0.operation != "snapshot" }
    #expect(events.count >= 2000)
    #expect(events.map(\.token) == all.rows.map(\.token))
    #expect(events.map(\.sequence) == all.rows.map(\.sequence))
    let copied = rows.filter { $0.operation == "snapshot" }.map(\.key)
    #expect(Set(copied).count == copied.count)

    var state: [String: Row] = [:]
    for row in rows where state[row.key].map({ $0.sequence < row.sequence }) ?? true { state[row.key] = row }
    let now = try await read(make(.untilCaughtUp), seconds: 60).rows.filter { $0.operation == "snapshot" }
    #expect(Set(now.map(\.document)) == Set(state.values.filter { $0.operation != "delete" }.map(\.document)))
  }

  /// Half of what a socket waits for a server that does not answer: whoever waits for that is found out, and a busy
  /// machine is not.
  static let prompt: Duration = .seconds(10)

  @Test func aPendingNextEndsWithTheSource() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    let source = try source(standin) { ($0.start, $0.maxAwaitTimeMS) = (.now, 1000) }
    let pulled = Lines()
    let reading = Task {
      var stream = try await source.open(from: nil, through: nil)
      while true {
        _ = try await stream.next()
        pulled.add("batch")
      }
    }
    while pulled.all.isEmpty { await Task.yield() }
    try standin.run(#"{"sandboxStall": true}"#)
    let clock = ContinuousClock.now
    await source.close()
    let result = await reading.result
    #expect(throws: CancellationError.self) { try result.get() }
    #expect(ContinuousClock.now - clock < Self.prompt)
    try standin.run(#"{"sandboxStall": false}"#)
  }

  @Test func closesSoonWhileTheServerDoesNotAnswer() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    let source = try source(standin) { $0.start = .now }
    var stream = try await source.open(from: nil, through: nil)
    _ = try await stream.next()
    try standin.run(#"{"sandboxStall": true}"#)
    var clock = ContinuousClock.now
    let idle = try await pull(&stream, seconds: 1.5)
    #expect(idle.rows.isEmpty && ContinuousClock.now - clock < Self.prompt)
    clock = .now
    await source.close()
    #expect(ContinuousClock.now - clock < Self.prompt)
    try standin.run(#"{"sandboxStall": false}"#)
  }

  @Test func aCancelledReaderReturnsAtOnce() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    let source = try source(standin) { ($0.start, $0.maxAwaitTimeMS) = (.now, 1000) }
    let pulled = Lines()
    let reading = Task {
      var stream = try await source.open(from: nil, through: nil)
      while true {
        _ = try await stream.next()
        pulled.add("batch")
      }
    }
    while pulled.all.isEmpty { await Task.yield() }
    try standin.run(#"{"sandboxStall": true}"#)
    let clock = ContinuousClock.now
    reading.cancel()
    let result = await reading.result
    #expect(ContinuousClock.now - clock < Self.prompt)
    #expect(throws: CancellationError.self) { try result.get() }
    await source.close()
    #expect(ContinuousClock.now - clock < Self.prompt)
    try standin.run(#"{"sandboxStall": false}"#)
  }

  @Test func memoryStaysWithinTheBudget() async throws {
    let standin = try Standin("--documents", "20000", "--document-bytes", "2000")
    defer { standin.stop() }
    let small = context(.untilCaughtUp, budget: 8 << 20)
    #expect(try await slowly(small, standin) == 20_000)
    // The thread that handed over the last batch lets go of it a moment later.
    for _ in 0..<200 where small.budget.inFlight > 0 { try await Task.sleep(for: .milliseconds(10)) }
    #expect(small.budget.inFlight == 0)
  }

  /// A reader that holds on to its batches: what waits for it is bounded.
  func slowly(_ context: ConnectorContext, _ standin: Standin) async throws -> Int {
    var stream = try await source(standin, context).open(from: nil, through: nil)
    var held: [RecordBatch] = []
    var rows = 0
    while let batch = try await stream.next() {
      rows += batch.count
      held.append(batch)
      if held.count > 1 { held = [] }
      #expect(context.budget.inFlight <= (4 << 20) + 5_000_000)
    }
    return rows
  }

  @Test func crashPointsAreNamed() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(0..<50)
    let passed = Lines()
    _ = try await read(
      source(standin, context(.untilCaughtUp, crash: CrashPoints { passed.add($0) })) { $0.batchSize = 10 })
    #expect(passed.all.filter { $0 == "mid-snapshot" }.count >= 5)
    #expect(passed.all.filter { $0 == "snapshot-handoff" }.count == 1)
    #expect(passed.all.last == "snapshot-handoff")
  }
}

struct Random: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state ^ state >> 29
  }
}

func base64(_ bytes: [UInt8]) -> String {
  let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  var text = ""
  for start in stride(from: 0, to: bytes.count, by: 3) {
    let part = bytes[start..<min(start + 3, bytes.count)]
    let value = part.enumerated().reduce(0) { $0 | Int($1.element) << (16 - 8 * $1.offset) }
    for index in 0..<4 { text.append(index <= part.count ? digits[value >> (18 - 6 * index) & 63] : "=") }
  }
  return text
}
