import Foundation
import NebulaCore
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

/// New fields, values that don't fit, and documents with a column a field.
@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct SchemaTests {
  private func load(_ rig: Rig, _ epoch: UInt64, _ batches: RecordBatch...) async throws -> PreparedEpoch {
    let prepared = try await rig.prepare(.at(1, epoch), batches)
    if !prepared.isEmpty { _ = try await rig.commit(prepared) }
    return prepared
  }
  private func overflow(_ row: JSONValue) throws -> JSONValue {
    try row["_OVERFLOW"]?.string.map { try JSONValue(parsing: $0) } ?? .null
  }

  @Test(arguments: ["CSV", "JSON", "PARQUET"])
  func columnsAreAddedBeforeTheRowsThatNeedThem(_ format: String) async throws {
    let standIn = try StandIn()
    // One worker: which of two batches comes first decides about the type of a new column.
    let rig = try Rig(standIn, ["schema_evolution": "true", "file_format": format, "parallel_uploads": "1"])
    try await rig.open()
    _ = try await load(rig, 1, Plain.json([#"{"id":1,"name":"a"}"#]))
    // In the middle of a batch, in another one of the same epoch, and a value that its column can't take.
    _ = try await load(
      rig, 2, Plain.json([#"{"id":2,"name":"b"}"#, #"{"id":3,"price":12345678901234567890,"ok":true}"#, #"{"id":4}"#]),
      Plain.json([#"{"id":"five","tags":["x"],"name":null}"#, #"{"id":6,"price":1.5,"Name":"other"}"#]))
    let rows = try await standIn.rows("RAW.SHOP.ORDERS")
    #expect(rows.count == 6)
    let third = try #require(rows.first { $0["ID"]?.stringOrNumber == "3" })
    #expect(third["PRICE"]?.stringOrNumber == "12345678901234567890" && third["OK"]?.bool == true)
    let fifth = try #require(rows.first { $0["TAGS"]?.string == #"["x"]"# })
    #expect(fifth["ID"]?.isNull ?? true)
    #expect(try overflow(fifth)["id"]?["value"]?.string == "five")
    #expect(try overflow(fifth)["id"]?["reason"]?.string?.contains("NUMBER(38,0)") == true)
    let sixth = try #require(rows.first { $0["ID"]?.stringOrNumber == "6" })
    #expect(try overflow(sixth)["price"]?["value"]?.stringOrNumber == "1.5")
    #expect(try overflow(sixth)["Name"]?["value"]?.string == "other")
    await rig.close()
    // A new process finds the columns there.
    let heir = try Rig(standIn, ["schema_evolution": "true", "file_format": format])
    try await heir.open(2)
    let prepared = try await heir.prepare(.at(2, 1), [Plain.json([#"{"id":7,"price":2,"more":"m"}"#])])
    _ = try await heir.commit(prepared)
    let seventh = try await standIn.rows("RAW.SHOP.ORDERS").first { $0["ID"]?.stringOrNumber == "7" }
    #expect(seventh?["MORE"]?.string == "m" && seventh?["PRICE"]?.stringOrNumber == "2")
    await heir.close()
  }

  @Test func aTableIsNotChangedUnderAnEpochThatWaits() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["schema_evolution": "true"])
    try await rig.open()
    _ = try await load(rig, 1, Plain.json([#"{"id":1}"#, #"{"id":11,"name":"x"}"#]))
    let second = try await rig.prepare(.at(1, 2), [Plain.json([#"{"id":2,"name":"x"}"#])])
    async let third = rig.prepare(.at(1, 3), [Plain.json([#"{"id":3,"new":1}"#])])
    // Until the second is committed, nothing is altered.
    try await standIn.until { try await standIn.stagedFiles().contains { $0.contains("00003-") } }
    #expect(try await standIn.statements { $0.hasPrefix("ALTER TABLE") && $0.contains("NEW") }.isEmpty)
    _ = try await rig.commit(second)
    _ = try await rig.commit(try await third)
    #expect(try await standIn.statements { $0.hasPrefix("ALTER TABLE") && $0.contains("NEW") }.count == 1)
    #expect(try await standIn.rows("RAW.SHOP.ORDERS").count == 4)
    await rig.close()
  }

  @Test(arguments: ["CSV", "JSON", "PARQUET"])
  func frozenTablesKeepTheRestInOverflow(_ format: String) async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["contract": "freeze", "file_format": format])
    try await rig.open()
    try await rig.destination.runForTest(
      "CREATE TABLE RAW.SHOP.ORDERS (ID NUMBER(5,0), NAME VARCHAR(4), _OVERFLOW VARIANT)")
    _ = try await load(
      rig, 1,
      Plain.json([
        #"{"id":1,"name":"\u00e4\u00f6\u00fc\u00df"}"#, #"{"id":123456,"name":"toolong","x":{"y":[1,null]}}"#,
      ]))
    _ = try await load(
      rig, 2,
      Plain.csv(
        [Array("7,abc,\"a,\"\"b\"".utf8), Array("8,,".utf8)],
        RecordSchema(columns: [.init("id", .integer), .init("name"), .init("extra")])))
    let rows = try await standIn.rows("RAW.SHOP.ORDERS")
    #expect(rows.count == 4)
    let second = try #require(rows.first { $0["ID"]?.isNull ?? true })
    let rest = try overflow(second)
    #expect(rest["id"]?["value"]?.stringOrNumber == "123456" && rest["name"]?["value"]?.string == "toolong")
    #expect(rest["x"]?["value"] == (try JSONValue(parsing: #"{"y":[1,null]}"#)))
    let third = try #require(rows.first { $0["NAME"]?.string == "abc" })
    #expect(try overflow(third)["extra"]?["value"]?.string == "a,\"b")
    let fourth = try #require(rows.last)
    #expect(fourth["_OVERFLOW"]?.isNull ?? true)
    await rig.close()
  }

  @Test func rejectedByContract() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["contract": "reject"])
    try await rig.open()
    let prepared = try await load(
      rig, 1, Plain.json([#"{"id":1,"name":"a"}"#, #"{"id":"x","name":"b"}"#]),
      Plain.json([#"{"id":2,"name":"c","new":1}"#, #"{"id":3,"name":"d"}"#]))
    #expect(
      prepared.counts == RecordCounts(committed: 3, rejected: 1)
        || prepared.counts == RecordCounts(committed: 2, rejected: 2))
    #expect(rig.letters.all.contains { $0.error.code == .unknownColumn })
    await rig.close()
  }

  @Test func documentsUnpackedIntoColumns() async throws {
    let standIn = try StandIn()
    for mode in ["append", "merge"] {
      let rig = try Rig(
        standIn,
        [
          "pack_mode": "unpacked", "contract": "evolve", "write_mode": mode, "table": mode,
          "columns": "{amount: NUMBER(12,2); big: VARCHAR}",
        ])
      try await rig.open(mode == "append" ? 1 : 2)
      var batch = ChangeBatch()
      let key = Document().int32("_id", 1)
      batch.add(
        .insert, key: key.bytes,
        document: key.string("name", "a\"b\nc").int64("count", 9_007_199_254_740_993).double("amount", 12.5)
          .document("inner", Document().int32("x", 1)).int64("big", .max).bytes,
        token: "1", sequence: ChangeSequence(clusterTime: 1, index: 0))
      let other = Document().int32("_id", 2)
      let generation: UInt64 = mode == "append" ? 1 : 2
      _ = try await rig.commit(try await rig.prepare(.at(generation, 1), [batch.batch]))
      batch = ChangeBatch()
      batch.add(
        .insert, key: other.bytes,
        document: other.string("count", "many").double("amount", 0.125).string("later", "new").string("_KEY", "mine")
          .bytes,
        token: "2", sequence: ChangeSequence(clusterTime: 2, index: 0))
      batch.add(.delete, key: key.bytes, token: "3", sequence: ChangeSequence(clusterTime: 3, index: 0))
      _ = try await rig.commit(try await rig.prepare(.at(generation, 2), [batch.batch]))
      let rows = try await standIn.rows("RAW.SHOP.\(mode.uppercased())")
      #expect(rows.count == (mode == "append" ? 3 : 2))
      if mode == "append" {
        let first = try #require(rows.first { $0["_OP"]?.string == "insert" && $0["_ID"]?.stringOrNumber == "1" })
        #expect(first["NAME"]?.string == "a\"b\nc" && first["COUNT"]?.stringOrNumber == "9007199254740993")
        #expect(first["AMOUNT"]?.stringOrNumber == "12.50" || first["AMOUNT"]?.stringOrNumber == "12.5")
        #expect(first["INNER"]?.string == #"{"x":1}"# && first["BIG"]?.string == "9223372036854775807")
        #expect(first["_NAMESPACE"]?.string == "shop.orders" && first["_EVENT_ID"]?.string == "1")
      }
      let second = try #require(rows.first { $0["_ID"]?.stringOrNumber == "2" })
      let rest = try overflow(second)
      #expect(rest["count"]?["value"]?.string == "many" && rest["amount"]?["value"]?.stringOrNumber == "0.125")
      #expect(rest["_KEY"]?["value"]?.string == "mine" && second["LATER"]?.string == "new")
      #expect(rows.first { $0["_OP"]?.string == "delete" }?["_DELETED"]?.bool == (mode == "append" ? nil : true))
      await rig.close()
    }
  }

  /// A value that its column would take as another goes to `_OVERFLOW` as it is, and stops nothing.
  @Test func valuesOfAnotherKindGoToOverflow() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["write_mode": "merge", "pack_mode": "unpacked", "contract": "evolve"])
    try await rig.open()
    func epoch(_ number: UInt64, _ fields: (Document) -> Document) async throws -> JSONValue {
      let key = Document().int32("_id", Int32(number))
      var batch = ChangeBatch()
      batch.add(
        .insert, key: key.bytes, document: fields(key).bytes, token: "\(number)",
        sequence: ChangeSequence(clusterTime: number, index: 0))
      _ = try await rig.commit(try await rig.prepare(.at(1, number), [batch.batch]))
      let rows = try await standIn.rows("RAW.SHOP.ORDERS")
      return try #require(rows.first { $0["_ID"]?.stringOrNumber == "\(number)" })
    }
    let first = try await epoch(1) {
      $0.int32("zip", 1).double("ratio", 0.1).boolean("done", true).date("at", 1_000).string("text", "x")
    }
    #expect(first["_OVERFLOW"]?.isNull ?? true)
    let second = try await epoch(2) {
      $0.string("zip", "01234").int64("ratio", 9_007_199_254_740_993).int32("done", 1).double("at", 277_871_264.25)
        .int32("text", 5)
    }
    let rest = try overflow(second)
    #expect(rest["zip"]?["value"]?.string == "01234" && rest["done"]?["value"]?.stringOrNumber == "1")
    #expect(rest["ratio"]?["value"]?.stringOrNumber == "9007199254740993")
    #expect(rest["at"]?["value"]?.stringOrNumber == "277871264.25" && rest["text"] == nil)
    for column in ["ZIP", "RATIO", "DONE", "AT"] { #expect(second[column]?.isNull ?? true, "\(column)") }
    let third = try await epoch(3) {
      $0.string("zip", "1234").int64("ratio", 1 << 53).string("done", "yes").string("at", "20260102")
    }
    #expect(third["ZIP"]?.stringOrNumber == "1234" && (third["AT"]?.isNull ?? true))
    #expect(third["RATIO"]?.stringOrNumber?.hasPrefix("9007199254740992") == true)
    let last = try overflow(third)
    #expect(last["done"]?["value"]?.string == "yes" && last["at"]?["value"]?.string == "20260102")
    await rig.close()
  }

  @Test func theCurrentViewShowsTheStateOfEachKey() async throws {
    let standIn = try StandIn()
    for packed in [true, false] {
      let table = packed ? "PACKED" : "UNPACKED"
      var properties = ["current_view": "true", "table": table]
      if !packed { properties["pack_mode"] = "unpacked"; properties["contract"] = "evolve" }
      let rig = try Rig(standIn, properties: properties)
      try await rig.open(packed ? 1 : 2)
      var batch = ChangeBatch()
      for (index, change) in [
        (1, "insert", "a"), (2, "insert", "b"), (1, "update", "a2"), (2, "delete", nil), (1, "update", nil),
      ]
      .enumerated() {
        let key = Document().int32("_id", Int32(change.0))
        var others: [String] = []
        batch.add(
          .named(change.1, &others) ?? .insert, key: key.bytes, document: change.2.map { key.string("name", $0).bytes },
          token: "\(index)", sequence: ChangeSequence(clusterTime: UInt64(index + 1), index: 0))
      }
      _ = try await rig.commit(try await rig.prepare(.at(packed ? 1 : 2, 1), [batch.batch]))
      let rows = try await rig.destination.pool.with { session in
        try await session.query("SELECT * FROM RAW.SHOP.\(table)_CURRENT", trying: "test")
      }
      #expect(rows.rows.count == 1)
      let name = packed ? rows[0, "DOCUMENT"] : rows[0, "NAME"]
      #expect(name?.contains("a2") == true)
      await rig.close()
    }
  }

  @Test(arguments: ["|", ";", "\t", "'"])
  func anyDelimiterRoundTrips(_ delimiter: String) async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["field_delimiter": delimiter])
    try await rig.open()
    let texts = ["a|b;c\td'e,f", "\"", "line\nbreak\r\nmore", "", " blank ", "\\N", "\u{1F600}"]
    let lines = texts.map { text in
      "{\"t\":\(JSONValue.string(text).text),\"n\":null,\"id\":\"\(text.count)\"}"
    }
    _ = try await load(rig, 1, Plain.json(lines))
    let found = try await standIn.rows("RAW.SHOP.ORDERS").compactMap { $0["T"]?.string }
    #expect(found.sorted() == texts.sorted())
    await rig.close()
  }

  @Test func aThousandColumns() async throws {
    let standIn = try StandIn()
    for (number, format) in ["CSV", "JSON", "PARQUET"].enumerated() {
      let rig = try Rig(standIn, ["table": "WIDE_\(format)", "file_format": format, "contract": "freeze"])
      try await rig.open(UInt64(number) + 1)
      let lines = (0..<20).map { row in
        "{" + (0..<1000).map { "\"field \($0)\":\(row * 1000 + $0)" }.joined(separator: ",") + "}"
      }
      let prepared = try await rig.prepare(.at(UInt64(number) + 1, 1), [Plain.json(lines)])
      #expect(try await rig.commit(prepared).rows == 20)
      let rows = try await standIn.rows("RAW.SHOP.WIDE_\(format)")
      #expect(rows.count == 20 && rows.allSatisfy { ($0["field 999"]?.stringOrNumber?.hasSuffix("999")) == true })
      await rig.close()
    }
  }

  @Test func contradictionsAreNamed() {
    func failure(_ properties: [String: String]) -> String? {
      var all: Properties = [
        "account": "a", "user": "u", "password": "p", "database": "D", "schema": "S", "table": "T",
      ]
      for (name, text) in properties { all[name] = .scalar(text, at: .init(path: name)) }
      do { _ = try SnowflakeOptions(decoding: all) } catch { return (error as NebulaError).place?.path }
      return nil
    }
    #expect(failure(["contract": "freeze", "schema_evolution": "true"]) == "contract")
    #expect(
      failure(["contract": "evolve"]) == nil && failure(["contract": "evolve", "schema_evolution": "true"]) == nil)
    #expect(failure(["pack_mode": "unpacked"]) == "pack_mode")
    #expect(failure(["delete_mode": "hard"]) == "delete_mode")
    #expect(failure(["write_mode": "merge", "current_view": "true"]) == "current_view")
    #expect(failure(["field_delimiter": "\""]) == "field_delimiter")
    #expect(failure(["field_delimiter": "||"]) == "field_delimiter")
    #expect(failure(["contract": "freeze"]) == nil)
    for type in ["VARCHAR(10)", "number(38, 2)", "TIMESTAMP_NTZ", "VARIANT"] { #expect(DeclaredType.isKnown(type)) }
    for type in ["TEXT); DROP TABLE X", "VARCHAR(x)", "NUMBER(1,2,3)", "", "INT(", "VARIANT)"] {
      #expect(!DeclaredType.isKnown(type))
    }
  }
}
