import Foundation
import NebulaCore
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

/// Write mode merge: one row a key, whatever order its changes come in.
@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct MergeTests {
  private static let orders = Namespace(database: "shop", collection: "orders")

  /// A change of key `id` at place `time`.
  private struct Change {
    var operation: NebulaCore.Operation
    var id: Int32
    var time: UInt64
    var name: String?
    var namespace = MergeTests.orders
  }

  private func batch(_ changes: [Change], _ copy: CopyPhase = .none) -> RecordBatch {
    var batch = ChangeBatch()
    batch.copy = copy
    for change in changes {
      let key = Document().int32("_id", change.id)
      batch.add(
        change.operation, change.namespace, key: key.bytes, document: change.name.map { key.string("name", $0).bytes },
        token: "82\(change.time)", sequence: ChangeSequence(clusterTime: change.time, index: 0))
    }
    return batch.batch
  }

  private func rig(_ standIn: StandIn, _ changes: KeyValuePairs<String, String> = [:]) throws -> Rig {
    var all = ["write_mode": "merge"]
    for (name, value) in changes { all[name] = value }
    return try Rig(standIn, properties: all)
  }

  private func execute(_ rig: Rig, _ statement: String) async throws {
    _ = try await rig.destination.pool.with { session in try await session.succeed(statement, trying: "test") }
  }

  private func text(_ time: UInt64) -> String { String(format: "%016x00000000", time) }

  /// `id name deleted` of each row.
  private func state(_ standIn: StandIn, _ table: String = "RAW.SHOP.ORDERS") async throws -> [String] {
    try await standIn.rows(table).map { row in
      let document = try row["DOCUMENT"]?.string.map { try JSONValue(parsing: $0) } ?? .null
      return "\(row["_KEY"]?.string ?? "-") \(document["name"]?.string ?? "-") \(row["_DELETED"]?.bool ?? false) "
        + "\(row["_OP"]?.string ?? "-")"
    }.sorted()
  }
  private func key(_ id: Int) -> String { #"{"$numberInt":"\#(id)"}"# }

  @Test func theLastChangeOfAKeyStays() async throws {
    let standIn = try StandIn()
    let rig = try rig(standIn, ["micro_batch_size": "2"])
    try await rig.open()
    // Key 1 changes in several files of one epoch, key 2 is made and deleted in it, key 3 is deleted unseen.
    let first = try await rig.prepare(
      .at(1, 1),
      [
        batch([
          Change(operation: .insert, id: 1, time: 10, name: "a"),
          Change(operation: .insert, id: 2, time: 11, name: "b"),
          Change(operation: .update, id: 1, time: 12, name: "a2"),
          Change(operation: .insert, id: 4, time: 13, name: "d"),
          Change(operation: .delete, id: 2, time: 14), Change(operation: .delete, id: 3, time: 15),
          Change(operation: .update, id: 5, time: 16),
        ])
      ])
    #expect(first.counts.committed == 7 && first.counts.superseded >= 1)
    _ = try await rig.commit(first)
    #expect(
      try await state(standIn)
        == [
          "\(key(1)) a2 false update", "\(key(2)) - true delete", "\(key(3)) - true delete", "\(key(4)) d false insert",
        ].sorted())
    // What is older than the row that is there changes nothing; a deleted key comes back by a newer insert.
    let second = try await rig.prepare(
      .at(1, 2),
      [
        batch([
          Change(operation: .update, id: 1, time: 9, name: "old"),
          Change(operation: .insert, id: 2, time: 20, name: "b2"),
          Change(operation: .delete, id: 4, time: 21), Change(operation: .snapshot, id: 3, time: 1, name: "ghost"),
        ])
      ])
    _ = try await rig.commit(second)
    #expect(
      try await state(standIn)
        == [
          "\(key(1)) a2 false update", "\(key(2)) b2 false insert", "\(key(3)) - true delete",
          "\(key(4)) d true delete",
        ].sorted())
    // Doing it again changes nothing (Invariant 3).
    _ = try await rig.commit(second)
    #expect(try await state(standIn).count == 4)
    let landing = try await standIn.tables().filter { $0.contains("_NEBULA_") }
    #expect(landing.count == 1)
    for table in landing { #expect(try await standIn.rows(table).isEmpty) }
    await rig.close()
  }

  @Test func compactionInMemoryLeavesOnlyTheLast() async throws {
    let standIn = try StandIn()
    let rig = try rig(standIn)
    try await rig.open()
    let changes = (0..<5000).map {
      Change(operation: .update, id: Int32($0 % 50), time: UInt64($0 + 1), name: "v\($0)")
    }
    // Newest first: arrival must not decide.
    let prepared = try await rig.prepare(
      .at(1, 1), [batch(Array(changes[2500...]).reversed()), batch(Array(changes[..<2500]))])
    #expect(prepared.counts.committed == 5000)
    let receipt = try await rig.commit(prepared)
    #expect(receipt.rows < 300)
    #expect(try await state(standIn) == (4950..<5000).map { "\(key($0 % 50)) v\($0) false update" }.sorted())
    await rig.close()
  }

  @Test func hardDeletesRemoveRowsOnceTheCopyHasEnded() async throws {
    let standIn = try StandIn()
    let rig = try rig(standIn, ["delete_mode": "hard"])
    try await rig.open()
    let since = ChangeSequence(clusterTime: 5, index: 0)
    // While the copy is made: the delete comes before the copied row of its key.
    _ = try await rig.commit(
      try await rig.prepare(
        .at(1, 1),
        [
          batch(
            [
              Change(operation: .snapshot, id: 1, time: 5, name: "a"), Change(operation: .delete, id: 2, time: 8),
            ], .underway(since: since))
        ]))
    _ = try await rig.commit(
      try await rig.prepare(
        .at(1, 2),
        [batch([Change(operation: .snapshot, id: 2, time: 5, name: "ghost")], .underway(since: since))]))
    #expect(try await state(standIn) == ["\(key(1)) a false snapshot", "\(key(2)) - true delete"])
    // The copy ends on a batch without records.
    let end = try await rig.prepare(.at(1, 3), [batch([], .ended(since: since))])
    #expect(!end.isEmpty && end.counts.total == 0)
    _ = try await rig.commit(end)
    #expect(try await state(standIn) == ["\(key(1)) a false snapshot"])
    _ = try await rig.commit(try await rig.prepare(.at(1, 4), [batch([Change(operation: .delete, id: 1, time: 9)])]))
    #expect(try await state(standIn).isEmpty)
    await rig.close()
  }

  /// The process that sees the end of the copy has loaded nothing yet, and the table is one that somebody else made.
  @Test func deletedKeysOfAnothersTableAreForgottenAsWell() async throws {
    let standIn = try StandIn()
    let properties: KeyValuePairs = ["delete_mode": "hard"]
    let rig = try rig(standIn, properties)
    try await execute(
      rig,
      "CREATE TABLE RAW.SHOP.ORDERS (DOCUMENT VARIANT, _NAMESPACE VARCHAR, _KEY VARCHAR, _OP VARCHAR, _SEQ VARCHAR, "
        + "_EVENT_TIME TIMESTAMP_NTZ, _DELETED BOOLEAN) COMMENT = 'the owner''s words'")
    try await rig.open()
    let since = ChangeSequence(clusterTime: 5, index: 0)
    _ = try await rig.commit(
      try await rig.prepare(
        .at(1, 1),
        [
          batch(
            [Change(operation: .snapshot, id: 1, time: 5, name: "a"), Change(operation: .delete, id: 2, time: 8)],
            .underway(since: since))
        ]))
    #expect(try await state(standIn).count == 2)
    await rig.close()
    let heir = try self.rig(standIn, properties)
    try await heir.open(2)
    _ = try await heir.commit(try await heir.prepare(.at(2, 1), [batch([], .ended(since: since))]))
    #expect(try await state(standIn) == ["\(key(1)) a false snapshot"])
    await heir.close()
  }

  @Test func aNewCopyClearsWhatItDidNotFind() async throws {
    let standIn = try StandIn()
    var generation: UInt64 = 0
    // By another process the second time: which tables there are is found in their comments.
    for (time, names) in [(UInt64(5), ["a", "b", "c"]), (50, ["a", "b"])] {
      generation += 1
      let rig = try rig(standIn, ["table": "{collection}"])
      try await rig.open(generation)
      let since = ChangeSequence(clusterTime: time, index: 0)
      var rows: [Change] = []
      for (number, name) in names.enumerated() {
        let namespace = Namespace(database: "shop", collection: name == "c" ? "gone" : "kept")
        rows.append(Change(operation: .snapshot, id: Int32(number), time: time, name: name, namespace: namespace))
      }
      let kept = Array(rows.prefix(time == 5 ? 3 : 1))
      _ = try await rig.commit(
        try await rig.prepare(
          .at(generation, 1), [batch(kept, .underway(since: since)), batch([], .ended(since: since))]))
      await rig.close()
    }
    #expect(try await state(standIn, "RAW.SHOP.KEPT") == ["\(key(0)) a false snapshot", "\(key(1)) b true gone"])
    #expect(try await state(standIn, "RAW.SHOP.GONE") == ["\(key(2)) c true gone"])
  }

  @Test func aDroppedCollectionIsGone() async throws {
    let standIn = try StandIn()
    let rig = try rig(standIn)
    try await rig.open()
    var drop = ChangeBatch()
    var names: [String] = []
    drop.add(
      .named("drop", &names) ?? .insert, Self.orders, key: nil,
      update: Document().string("operationType", "drop").bytes,
      sequence: ChangeSequence(clusterTime: 20, index: 0))
    drop.otherOperations = names
    let other = Namespace(database: "shop", collection: "other")
    _ = try await rig.commit(
      try await rig.prepare(
        .at(1, 1),
        [
          batch([
            Change(operation: .insert, id: 1, time: 10, name: "a"),
            Change(operation: .insert, id: 1, time: 10, name: "stays", namespace: other),
          ])
        ]))
    _ = try await rig.commit(
      try await rig.prepare(
        .at(1, 2), [drop.batch, batch([Change(operation: .insert, id: 2, time: 21, name: "anew")])]))
    #expect(
      try await state(standIn) == [
        "\(key(1)) a true drop", "\(key(1)) stays false insert", "\(key(2)) anew false insert",
      ])
    drop.copy = .underway(since: ChangeSequence(clusterTime: 1, index: 0))
    let underway = drop.batch
    let error = await #expect(throws: NebulaError.self) { try await rig.prepare(.at(1, 3), [underway]) }
    #expect(error?.code == .dropNotMerged)
    await rig.close()
  }

  @Test func copiedRowsNeedNoMergeUntilSomethingElseComes() async throws {
    let standIn = try StandIn()
    let rig = try rig(standIn)
    try await rig.open()
    let since = ChangeSequence(clusterTime: 5, index: 0)
    for epoch in 1...2 {
      let rows = (0..<20).map {
        Change(operation: .snapshot, id: Int32(epoch * 100 + $0), time: 5, name: "n\($0)")
      }
      let prepared = try await rig.prepare(.at(1, UInt64(epoch)), [batch(rows, .underway(since: since))])
      #expect(try Manifest(decoding: prepared).tables[0].merge?.isDirect == true)
      _ = try await rig.commit(prepared)
    }
    #expect(try await standIn.statements { $0.hasPrefix("MERGE INTO \"RAW\".\"SHOP\".\"ORDERS\"") }.isEmpty)
    // An insert of a key that the copy found as well: only a merge keeps one row.
    for (epoch, rows) in [
      (3, [Change(operation: .insert, id: 101, time: 6, name: "event")]),
      (4, [Change(operation: .snapshot, id: 300, time: 5, name: "later")]),
    ] {
      let prepared = try await rig.prepare(.at(1, UInt64(epoch)), [batch(rows, .underway(since: since))])
      #expect(try Manifest(decoding: prepared).tables[0].merge?.isDirect == false)
      _ = try await rig.commit(prepared)
    }
    let rows = try await state(standIn)
    #expect(rows.count == 41 && rows.contains("\(key(101)) event false insert"))
    await rig.close()
    // A new process asks the table itself.
    let heir = try self.rig(standIn)
    try await heir.open(2)
    let prepared = try await heir.prepare(
      .at(2, 1), [batch([Change(operation: .snapshot, id: 400, time: 5, name: "x")], .underway(since: since))])
    #expect(try Manifest(decoding: prepared).tables[0].merge?.isDirect == false)
    await heir.close()
  }

  /// What somebody else put into the landing table would be merged as well.
  @Test func aStrangersRowsStopTheMerge() async throws {
    let standIn = try StandIn()
    let rig = try rig(standIn)
    try await rig.open()
    _ = try await rig.commit(
      try await rig.prepare(.at(1, 1), [batch([Change(operation: .insert, id: 1, time: 10, name: "a")])]))
    let landing = try #require(try await standIn.tables().first { $0.contains("_NEBULA_") })
    let put =
      "INSERT INTO \(landing) (\"_KEY\", \"_NAMESPACE\", \"_SEQ\", \"_DELETED\") VALUES ('x', 'shop.orders', 'f', FALSE)"
    try await execute(rig, put)
    let prepared = try await rig.prepare(.at(1, 2), [batch([Change(operation: .delete, id: 1, time: 11)])])
    let error = await #expect(throws: NebulaError.self) { try await rig.commit(prepared) }
    #expect(error?.code == .copyIncomplete && error?.message.contains("held 2 rows after 1") == true)
    #expect(try await state(standIn) == ["\(key(1)) a false insert"])
    try await execute(rig, "DELETE FROM \(landing)")
    _ = try await rig.commit(prepared)
    #expect(try await state(standIn) == ["\(key(1)) a true delete"])
    await rig.close()
  }

  /// Rows of two layouts in one epoch: the merge takes the columns of both.
  @Test func anEpochOfTwoLayoutsIsMergedWhole() async throws {
    let standIn = try StandIn()
    let rig = try rig(standIn, ["pack_mode": "unpacked", "contract": "evolve", "parallel_uploads": "1"])
    try await rig.open()
    func one(_ id: Int32, _ time: UInt64, _ more: (Document) -> Document) -> RecordBatch {
      var batch = ChangeBatch()
      let key = Document().int32("_id", id)
      batch.add(
        .update, Self.orders, key: key.bytes, document: more(key).bytes, token: "82\(time)",
        sequence: ChangeSequence(clusterTime: time, index: 0))
      return batch.batch
    }
    func rows() async throws -> [String] {
      try await standIn.rows("RAW.SHOP.ORDERS").map {
        "\($0["_ID"]?.stringOrNumber ?? "-") \($0["NAME"]?.string ?? "-") \($0["NEW"]?.string ?? "-")"
      }.sorted()
    }
    _ = try await rig.commit(try await rig.prepare(.at(1, 1), [one(1, 1) { $0.string("name", "a") }]))
    _ = try await rig.commit(
      try await rig.prepare(
        .at(1, 2), [one(2, 2) { $0.string("name", "b") }, one(1, 3) { $0.string("name", "c").string("new", "n") }]))
    #expect(try await rows() == ["1 c n", "2 b -"])
    // A field that the newest document lacks is NULL again.
    _ = try await rig.commit(try await rig.prepare(.at(1, 3), [one(1, 4) { $0.string("name", "d") }]))
    #expect(try await rows() == ["1 d -", "2 b -"])
    await rig.close()
  }

  /// A landing table that lacks a column is made anew, with those of earlier rows as well, and only when no earlier epoch
  /// needs it any more.
  @Test func filesOfOtherColumnsTakeTurnsInOneLandingTable() async throws {
    let standIn = try StandIn()
    let rig = try rig(standIn, ["key": "[id]", "contract": "evolve"])
    try await execute(
      rig, "CREATE TABLE RAW.SHOP.ORDERS (ID NUMBER(38,0), A VARCHAR, B VARCHAR, _SEQ VARCHAR, _OVERFLOW VARIANT)")
    try await rig.open()
    func csv(_ column: String, _ rows: [String]) -> RecordBatch {
      Plain.csv(rows.map { Array($0.utf8) }, RecordSchema(columns: [.init("id", .integer), .init(column)]))
    }
    func replacements() async throws -> Int {
      try await standIn.statements { $0.hasPrefix("CREATE OR REPLACE TRANSIENT") }.count
    }
    let first = try await rig.prepare(.at(1, 1), [csv("a", ["1,x", "2,y"])])
    async let second = rig.prepare(.at(1, 2), [csv("b", ["1,z", "3,w"])])
    try await standIn.until { try await standIn.stagedFiles().contains { $0.contains("00002-") } }
    for _ in 0..<20 { #expect(try await replacements() == 0) }
    _ = try await rig.commit(first)
    _ = try await rig.commit(try await second)
    #expect(try await replacements() == 1)
    _ = try await rig.commit(try await rig.prepare(.at(1, 3), [csv("a", ["2,v", "4,u"])]))
    #expect(try await replacements() == 1)
    let rows = try await standIn.rows("RAW.SHOP.ORDERS").map {
      "\($0["ID"]?.stringOrNumber ?? "-") \($0["A"]?.string ?? "-") \($0["B"]?.string ?? "-")"
    }
    #expect(rows.sorted() == ["1 x z", "2 v -", "3 - w", "4 u -"])
    await rig.close()
  }

  @Test func plainRecordsAreMergedByTheirKeyColumns() async throws {
    let standIn = try StandIn()
    let rig = try rig(standIn, ["key": "[id, Region]", "micro_batch_size": "3"])
    try await rig.open()
    let schema = RecordSchema(columns: [.init("id", .integer), .init("region"), .init("name")])
    func csv(_ rows: [String]) -> RecordBatch { Plain.csv(rows.map { Array($0.utf8) }, schema) }
    let first = try await rig.prepare(
      .at(1, 1), [csv(["1,eu,a", "2,eu,b", "1,eu,c", "1,us,d", "3,,x", "4,\"\",y"]), csv(["2,eu,e", "9,eu,z"])])
    #expect(first.counts == RecordCounts(committed: 7, superseded: first.counts.superseded, rejected: 1))
    #expect(rig.letters.all.first?.error.message.contains("\"REGION\" is empty") == true)
    _ = try await rig.commit(first)
    _ = try await rig.commit(try await rig.prepare(.at(1, 2), [csv(["9,eu,w", "10,eu,v"])]))
    let rows = try await standIn.rows("RAW.SHOP.ORDERS").map {
      "\($0["ID"]?.stringOrNumber ?? "-") \($0["REGION"]?.string ?? "-") \($0["NAME"]?.string ?? "-")"
    }
    #expect(rows.sorted() == ["1 eu c", "1 us d", "10 eu v", "2 eu e", "4  y", "9 eu w"])
    await rig.close()
    let json = try self.rig(
      standIn, ["key": "[ID]", "table": "JSONS", "file_format": "JSON", "columns": "{id: 'NUMBER(38,0)'}"])
    try await json.open(2)
    _ = try await json.commit(
      try await json.prepare(.at(2, 1), [Plain.json([#"{"id":1,"v":{"a":1}}"#, #"{"v":2,"id":1}"#, #"{"id":2}"#])]))
    let merged = try await standIn.rows("RAW.SHOP.JSONS")
    #expect(merged.count == 2 && merged.first { $0["ID"]?.integer == 1 }?["V"]?.stringOrNumber == "2")
    await json.close()
  }

  @Test func whatCannotBePromisedIsRefused() throws {
    var options = SnowflakeOptions()
    options.writeMode = .merge
    let change = SourceTraits(resume: .exact, hasKeys: true)
    #expect(try SnowflakeGuarantee(options).of(change).description.hasPrefix("exactly once"))
    var partial = change
    partial.hasWholeDocuments = false
    #expect(throws: NebulaError.self) { try SnowflakeGuarantee(options).of(partial) }
    #expect(throws: NebulaError.self) { try SnowflakeGuarantee(options).of(SourceTraits(resume: .exact)) }
    var inclusive = change
    inclusive.resume = .inclusive
    #expect(try SnowflakeGuarantee(options).of(inclusive).description.hasPrefix("effectively once by key"))
    options.deleteMode = .hard
    #expect(throws: NebulaError.self) { try SnowflakeGuarantee(options).of(inclusive) }
    #expect(try SnowflakeGuarantee(options).of(change).description.hasPrefix("exactly once"))
  }
}
