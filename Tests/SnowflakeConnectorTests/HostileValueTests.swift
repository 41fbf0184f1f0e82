import NebulaCore
import NebulaFormats
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

/// Values that a column would cut, change or refuse: they are found before they are staged, since a row that COPY refuses
/// stops the epoch at each new try.
@Suite struct HostileValueTests {
  private func takes(_ type: String, _ text: String) -> Bool {
    Array(text.utf8).withUnsafeBytes { ColumnCheck(type: type, isStrict: true).takes($0) }
  }

  @Test(arguments: [
    ("TIMESTAMP_NTZ(9)", "Thu, 21 Dec 2000 16:01:07 +0000"), ("TIMESTAMP_TZ(9)", "Thu, 1 feb 2024 16:01:07.5 -0730"),
    ("TIMESTAMP_TZ(9)", "Thu Dec 21 16:01:07 +0200 2000"), ("TIMESTAMP_NTZ(9)", "2024-05-06T07:08:09Z"),
    ("TIMESTAMP_NTZ(9)", "2024-05-06 07:08:09+00:00"), ("TIMESTAMP_LTZ(9)", "2024-05-06T07:08:09+05:00"),
    ("TIMESTAMP_NTZ(3)", "2024-05-06T07:08:09.123000"), ("DATE", "2024-02-29"), ("DATE", "29-feb-2024"),
    ("DATE", "2024-05-06T00:00:00.000Z"), ("TIME(9)", "23:59"), ("TIME(9)", "7:08:09.123456789"),
    ("TIME(0)", "07:08:09.000"), ("BINARY(2)", "00fF"), ("BINARY(2)", ""), ("FLOAT", "1e308"), ("FLOAT", "-2.5e-308"),
    ("FLOAT", "+inf"),
  ]) func taken(_ type: String, _ text: String) { #expect(takes(type, text)) }

  @Test(arguments: [
    ("TIMESTAMP_NTZ(9)", "not set"), ("TIMESTAMP_NTZ(9)", "TBD."), ("TIMESTAMP_NTZ(9)", "12-XYZ-2026"),
    ("TIMESTAMP_NTZ(9)", "31-FEB-2026"), ("TIMESTAMP_NTZ(9)", "Thu, 31 Feb 2000 16:01:07 +0000"),
    ("TIMESTAMP_NTZ(9)", "Thu, 21 Dec 2000"), ("TIMESTAMP_NTZ(9)", "Thu Dec 21 16:01:07 2000"),
    ("TIMESTAMP_NTZ(9)", "2024-05-06T07:08:09+05:00"), ("TIMESTAMP_NTZ(9)", "2024-05-06T07:08:09-0030"),
    ("TIMESTAMP_NTZ(3)", "2024-05-06T07:08:09.1234"), ("TIMESTAMP_NTZ(0)", "2024-05-06T07:08:09.5"),
    ("DATE", "2024-05-06T07:08:09"), ("DATE", "2024-05-06 00:00:01"), ("DATE", "2024-05-06T00:00:00.1"),
    ("DATE", "1714979289"), ("DATE", "2023-02-29"), ("TIME(9)", "abcd"), ("TIME(9)", "24:00"), ("TIME(9)", "7"),
    ("TIME(9)", "07:08:09+01:00"), ("TIME(0)", "07:08:09.5"), ("BINARY(8)", "xyz"), ("BINARY(8)", "abc"),
    ("BINARY(2)", "001122"), ("FLOAT", "1e400"), ("FLOAT", "-1e309"),
  ]) func refused(_ type: String, _ text: String) { #expect(!takes(type, text)) }

  /// A FLOAT keeps what is a Double's own text, and no number that has more to say.
  @Test(arguments: [
    ("0.1", true), ("0.30000000000000004", true), ("-1.7976931348623157e308", true), ("5e-324", true),
    ("100000000000000000000000", true), ("0.000", true), ("9007199254740992", true), ("4611686018427387904", true),
    ("9007199254740993", false), ("9007199254740993.5", false), ("1000000.000000000000000001", false),
    ("20000000000000000.01", false), ("1e400", false), ("1e-400", false), ("123456789012345678901234567890", false),
  ]) func doubles(_ text: String, _ isKept: Bool) {
    #expect(Array(text.utf8).withUnsafeBytes { ValueKind.keepsLiteral($0, .float) } == isKept)
  }

  /// The columns of Parquet have a parser of their own: what the check lets through must not fail there, behind it.
  @Test func whatIsTakenFitsParquet() throws {
    let types = [
      "NUMBER(38,0)", "NUMBER(12,2)", "NUMBER(38,37)", "FLOAT", "BOOLEAN", "DATE", "TIME(9)", "TIMESTAMP_NTZ(9)",
      "TIMESTAMP_TZ(3)", "BINARY(8)", "VARCHAR(3)",
    ]
    let layout = TableLayout(
      .records, .parquet, types.map { LoadColumn(name: Identifier(exactly: $0), type: $0, field: $0) })
    let sink = try ParquetSink(layout, .zstd, level: nil)
    let output = OutputBuffer(capacity: 1024)
    var texts = [
      " 2 ", "\t2.5", "+2", "2.", ".5", "1e2", "1E+2", "12E-1", "-0", "-0.00", "007", "+inf", "inf", "-INF", "NaN",
      "nan",
      "1e308", "5e-324", "99999999999999999999999999999999999999", "T", "oFF", "1", "2024-02-29",
    ]
    var random = SystemRandomNumberGenerator()
    for _ in 0..<20_000 {
      texts.append(
        String(
          (0..<Int.random(in: 1...8, using: &random)).compactMap { _ in "0123456789.+-eE \tinfa:T".randomElement() }))
    }
    var taken = 0
    for text in texts {
      for type in types where takes(type, text) {
        taken += 1
        let row = OutputBuffer(capacity: 64)
        row.append(Array("{\(JSONValue.string(type).text):\(JSONValue.string(text).text)}\n".utf8))
        do {
          try row.withBytes { (bytes) throws(NebulaError) in try sink.write(rows: bytes, into: output) }
        } catch {
          Issue.record("\(type) \(text): \(error)")
        }
      }
    }
    #expect(taken > 5_000)
  }

  // MARK: through the stand-in

  private func commit(_ rig: Rig, _ epoch: EpochID, _ batches: RecordBatch...) async throws -> PreparedEpoch {
    let prepared = try await rig.prepare(epoch, batches)
    if !prepared.isEmpty { _ = try await rig.commit(prepared) }
    return prepared
  }

  @Test(.enabled(if: StandIn.isAvailable), arguments: ["JSON", "PARQUET"])
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

  @Test(.enabled(if: StandIn.isAvailable)) func ofDoubledNamesTheLastCounts() async throws {
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

  @Test(.enabled(if: StandIn.isAvailable), arguments: ["CSV", "JSON", "PARQUET"])
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

  @Test(.enabled(if: StandIn.isAvailable)) func whatIsTooLongForAMergeIsARejectedRecord() async throws {
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

  @Test(.enabled(if: StandIn.isAvailable), arguments: [#"{"id":2,"a":1,"A":2}"#, #"{"id":2,"a":1,"":2}"#])
  func aContractRejectsTheRecordAlsoInTheFirstBatch(_ record: String) async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["contract": "reject"])
    try await rig.open()
    let prepared = try await commit(
      rig, .at(1, 1), Plain.json([#"{"id":1,"a":1}"#, record, #"{"id":3,"a":1}"#]))
    #expect(prepared.counts == RecordCounts(committed: 2, rejected: 1))
    await rig.close()
  }

  @Test(.enabled(if: StandIn.isAvailable)) func aFieldMayHaveTheNameOfAColumnOfTheProgram() async throws {
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
  @Test(.enabled(if: StandIn.isAvailable)) func theViewKnowsAShardedCollectionsKey() async throws {
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

  /// Every start has a new generation: the epochs tell that a state is an older copy.
  @Test(.enabled(if: StandIn.isAvailable)) func anOlderStateIsRefusedHoweverOftenItStarts() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    func open(_ generation: UInt64, knowing last: EpochID) async throws {
      try await rig.destination.open(Lease(pipeline: "orders", generation: generation, lastEpoch: last))
    }
    try await open(1, knowing: EpochID(generation: 0, sequence: 0))
    for epoch in 1...3 { _ = try await commit(rig, .at(1, UInt64(epoch)), ChangeBatch.orders(2)) }
    for generation in [2, 3, 1_000_000] as [UInt64] {
      let error = await #expect(throws: NebulaError.self) { try await open(generation, knowing: .at(1, 2)) }
      #expect(error?.code == .behindDestination)
      #expect(error?.message.contains("0000000001-0000000003") == true)
    }
    // The state that knows of it; and one that was reset.
    try await open(2, knowing: .at(1, 3))
    try await open(1_795_220_000, knowing: EpochID(generation: 1_795_219_999, sequence: 9_999_999_999))
    await rig.close()
  }
}
