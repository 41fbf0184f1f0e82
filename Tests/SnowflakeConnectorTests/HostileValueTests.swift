import NebulaCore
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

/// Values and names that are not what a table expects, through the stand-in: nothing is lost or doubled, and nothing stops
/// an epoch for good.
@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct HostileValueTests {
  private func commit(_ rig: Rig, _ epoch: EpochID, _ batches: RecordBatch...) async throws -> PreparedEpoch {
    let prepared = try await rig.prepare(epoch, batches)
    if !prepared.isEmpty { _ = try await rig.commit(prepared) }
    return prepared
  }

  @Test(arguments: ["JSON", "PARQUET"])
  func textsThatAreNoMomentsGoToOverflow(_ format: String) async throws {
    let standIn = try StandIn()
    let rig = try Rig(
      standIn, ["pack_mode": "unpacked", "contract": "evolve", "file_format": format, "columns": "{t: TIME; f: FLOAT}"])
    try await rig.open()
    let hostile = ["not set", "TBD.", "12-XYZ-2026", "2024-05-06T07:08:09+05:00"]
    for index in 0...hostile.count {
      var batch = ChangeBatch()
      let key = Document().int32("_id", Int32(index))
      let document =
        index == 0
        ? key.date("at", 1_000)
        : key.string("at", hostile[index - 1]).string("t", "soon").string("f", "20000000000000000.01")
      batch.add(
        .insert, key: key.bytes, document: document.bytes, token: "\(index)",
        sequence: ChangeSequence(clusterTime: UInt64(index + 1), index: 0))
      _ = try await commit(rig, .at(1, UInt64(index + 1)), batch.batch)
    }
    let rows = try await standIn.rows("RAW.SHOP.ORDERS")
    #expect(rows.count == hostile.count + 1)
    let rest = try rows.compactMap { try $0["_OVERFLOW"]?.string.map { try JSONValue(parsing: $0) } }
    #expect(Set(rest.compactMap { $0["at"]?["value"]?.string }) == Set(hostile))
    #expect(rest.allSatisfy { $0["t"]?["value"]?.string == "soon" })
    #expect(rest.allSatisfy { $0["f"]?["value"]?.string == "20000000000000000.01" })
    await rig.close()
  }

  @Test func ofDoubledNamesTheLastCounts() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["contract": "freeze"])
    try await rig.open()
    try await rig.destination.runForTest("CREATE TABLE RAW.SHOP.ORDERS (ID NUMBER(5,0), V VARIANT, _OVERFLOW VARIANT)")
    _ = try await commit(
      rig, .at(1, 1), Plain.json([#"{"id":1,"v":{"a":1,"b":[{"c":1,"c":2}],"a":3}}"#, #"{"id":2,"zz":1,"zz":2}"#]))
    let rows = try await standIn.rows("RAW.SHOP.ORDERS", order: "ID")
    #expect(rows.map { $0["V"]?.string } == [#"{"a":3,"b":[{"c":2}]}"#, nil])
    #expect(rows.last?["_OVERFLOW"]?.string?.contains(#""value":2"#) == true)
    await rig.close()
  }

  @Test(arguments: ["CSV", "JSON", "PARQUET"])
  func aTextColumnKeepsANumberAsItReads(_ format: String) async throws {
    let standIn = try StandIn()
    let rig = try Rig(
      standIn, ["write_mode": "merge", "key": "[id]", "columns": "{id: VARCHAR; v: VARCHAR}", "file_format": format])
    try await rig.open()
    let keys = [#"1.50"#, #"1e2"#, #""\u000011""#, "true"]
    for epoch in 1...2 {
      _ = try await commit(
        rig, .at(1, UInt64(epoch)), Plain.json(keys.map { #"{"id":\#($0),"v":\#(epoch).10}"# }))
    }
    let rows = try await standIn.rows("RAW.SHOP.ORDERS")
    #expect(Set(rows.compactMap { $0["ID"]?.string }) == ["1.50", "1e2", "\u{0}11", "true"])
    #expect(rows.count == keys.count && rows.allSatisfy { $0["V"]?.string == "2.10" })
    await rig.close()
  }

  @Test func whatIsTooLongForAMergeIsARejectedRecord() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["write_mode": "merge", "key": "[id]"])
    try await rig.open()
    try await rig.destination.runForTest("CREATE TABLE RAW.SHOP.ORDERS (ID NUMBER(3,0), V VARCHAR(3), _SEQ VARCHAR)")
    let prepared = try await commit(
      rig, .at(1, 1), Plain.json([#"{"id":1,"v":"abc"}"#, #"{"id":2,"v":"abcd"}"#, #"{"id":1000,"v":"x"}"#]))
    #expect(prepared.counts == RecordCounts(committed: 1, rejected: 2))
    #expect(rig.letters.all.contains { $0.error.message.contains("VARCHAR(3), which can't take 'abcd'") })
    await rig.close()
  }

  @Test(arguments: [#"{"id":2,"a":1,"A":2}"#, #"{"id":2,"a":1,"":2}"#])
  func aContractRejectsTheRecordAlsoInTheFirstBatch(_ record: String) async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["contract": "reject"])
    try await rig.open()
    let prepared = try await commit(
      rig, .at(1, 1), Plain.json([#"{"id":1,"a":1}"#, record, #"{"id":3,"a":1}"#]))
    #expect(prepared.counts == RecordCounts(committed: 2, rejected: 1))
    await rig.close()
  }

  @Test func aFieldMayHaveTheNameOfAColumnOfTheProgram() async throws {
    let standIn = try StandIn()
    for contract in ["evolve", "reject"] {
      let rig = try Rig(standIn, ["pack_mode": "unpacked", "contract": contract, "table": contract])
      try await rig.open(contract == "evolve" ? 1 : 2)
      var batch = ChangeBatch()
      for number in 1...2 {
        let key = Document().int32("_id", Int32(number))
        batch.add(
          .insert, key: key.bytes, document: (number == 1 ? key.string("_seq", "mine") : key).bytes, token: "\(number)",
          sequence: ChangeSequence(clusterTime: UInt64(number), index: 0))
      }
      let prepared = try await commit(rig, .at(contract == "evolve" ? 1 : 2, 1), batch.batch)
      #expect(prepared.counts.committed == (contract == "evolve" ? 2 : 1))
      await rig.close()
    }
  }

  /// Events of a sharded collection have its shard key in their key, copied rows only `_id`.
  @Test func theViewKnowsAShardedCollectionsKey() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["current_view": "true"])
    try await rig.open()
    var batch = ChangeBatch()
    for number in 1...2 {
      let key = Document().int32("_id", Int32(number))
      batch.add(
        .snapshot, key: key.bytes, document: key.string("name", "old").bytes, token: "\(number)",
        sequence: ChangeSequence(clusterTime: 1, index: 0))
      let sharded = Document().string("region", "eu").int32("_id", Int32(number))
      batch.add(
        number == 1 ? .update : .delete, key: sharded.bytes,
        document: number == 1 ? key.string("name", "new").bytes : nil, token: "e\(number)",
        sequence: ChangeSequence(clusterTime: 2, index: UInt32(number)))
    }
    _ = try await commit(rig, .at(1, 1), batch.batch)
    let rows = try await rig.destination.pool.with { session in
      try await session.query("SELECT DOCUMENT FROM RAW.SHOP.ORDERS_CURRENT", trying: "test")
    }
    #expect(rows.rows.count == 1 && rows[0, "DOCUMENT"]?.contains("new") == true)
    await rig.close()
  }
}
