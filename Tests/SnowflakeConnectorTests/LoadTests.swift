import Foundation
import NebulaCore
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

/// What is loaded, from where, into which columns.
@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct LoadTests {
  @Test(arguments: ["S3", "AZURE", "GCS", "LOCAL_FS"], [16, 32])
  func everyPlaceOfAStage(_ location: String, _ keyBytes: Int) async throws {
    let standIn = try StandIn(["--location", location, "--set", "key_bytes=\(keyBytes)"])
    let rig = try Rig(standIn, ["micro_batch_size": "40"])
    try await rig.open()
    let prepared = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(100)])
    #expect(try Manifest(decoding: prepared).tables[0].files.map(\.rows) == [40, 40, 20])
    #expect(try await rig.commit(prepared).rows == 100)
    #expect(try await standIn.rows("RAW.SHOP.ORDERS").count == 100)
    await rig.close()
  }

  @Test(arguments: ["default_encrypted=false", "gcs_presigned=true"])
  func otherKindsOfStages(_ setting: String) async throws {
    let standIn = try StandIn(["--set", setting] + (setting.hasPrefix("gcs") ? ["--location", "GCS"] : []))
    let rig = try Rig(standIn, ["micro_batch_size": "60"])
    try await rig.open()
    #expect(try await rig.commit(try await rig.prepare(.at(1, 1), [ChangeBatch.orders(100)])).rows == 100)
    await rig.close()
  }

  @Test(arguments: ["S3", "AZURE", "GCS"])
  func expiredCredentialsAndStormsAreSurvived(_ location: String) async throws {
    let standIn = try StandIn(["--location", location])
    let rig = try Rig(standIn, ["micro_batch_size": "20"])
    try await rig.open()
    try await rig.destination.begin(.at(1, 1), pin: nil)
    try await rig.destination.write(ChangeBatch.orders(50), to: .at(1, 1))
    try await standIn.control("expire-credentials")
    try await standIn.faults(
      ["service": .string(location.lowercased()), "method": "PUT", "action": "status", "status": 503, "times": 3],
      ["service": "api", "action": "status", "status": 503, "times": 3],
      ["service": .string(location.lowercased()), "method": "PUT", "nth": 2, "action": "apply_close"])
    try await rig.destination.write(ChangeBatch.orders(50, from: 50), to: .at(1, 1))
    let prepared = try await rig.destination.prepare(.at(1, 1))
    try await standIn.control("expire-sessions")
    #expect(try await rig.commit(prepared).rows == 100)
    let ids = try await standIn.rows("RAW.SHOP.ORDERS").compactMap { $0["EVENT_ID"]?.string }
    #expect(ids.count == 100 && Set(ids).count == 100)
    await rig.close()
  }

  @Test func sessionsThatExpireAreRenewedOrMadeAnew() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await rig.open()
    for epoch in 1...3 {
      try await standIn.control("expire-sessions", ["master": .bool(epoch == 3)])
      let prepared = try await rig.prepare(.at(1, UInt64(epoch)), [ChangeBatch.orders(10, from: epoch * 10)])
      #expect(try await rig.commit(prepared).rows == 10)
    }
    #expect(try await standIn.rows("RAW.SHOP.ORDERS").count == 30)
    await rig.close()
  }

  @Test func arrowIsRefusedClearly() async throws {
    let standIn = try StandIn(["--set", "result_format=arrow"])
    let rig = try Rig(standIn)
    let error = await #expect(throws: NebulaError.self) { try await rig.open() }
    #expect(error?.code == .arrowResult && error?.remedy.contains("JSON") == true)
    await rig.close()
  }

  @Test func aTableForEachNamespace() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["table": "{database}_{collection}"])
    try await rig.open()
    var batch = ChangeBatch()
    for number in 0..<30 {
      let key = Document().int32("_id", Int32(number))
      batch.add(
        .insert, Namespace(database: "shop", collection: "c-\(number % 3)"), key: key.bytes, document: key.bytes,
        token: "\(number)")
    }
    let prepared = try await rig.prepare(.at(1, 1), [batch.batch])
    #expect(try await rig.commit(prepared).rows == 30)
    #expect(try await standIn.rows("RAW.SHOP.%22shop_c-1%22").count == 10)
    await rig.close()
  }

  /// Many workers and a few records a table in each batch: a file a table, not one for each worker.
  @Test func fewRecordsOfATableShareAFile() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["table": "{collection}", "parallel_uploads": "8"])
    try await rig.open()
    let batches = (0..<16).map { number in
      var batch = ChangeBatch()
      for collection in 0..<10 {
        let key = Document().int32("_id", Int32(number))
        batch.add(
          .insert, Namespace(database: "shop", collection: "c\(collection)"), key: key.bytes, document: key.bytes,
          token: "\(number)-\(collection)")
      }
      return batch.batch
    }
    _ = try await rig.commit(try await rig.prepare(.at(1, 1), batches))
    #expect(try await standIn.stagedFiles().count == 10)
    for collection in 0..<10 { #expect(try await standIn.rows("RAW.SHOP.C\(collection)").count == 16) }
    await rig.close()
  }

  @Test func recordsThatCannotBeRowsAreRejectedWithTheirKey() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["max_row_bytes": "2KiB"])
    try await rig.open()
    var batch = ChangeBatch()
    let key = Document().int32("_id", 1)
    batch.add(.insert, key: key.bytes, document: key.bytes, token: "1")
    batch.add(
      .insert, key: Document().int32("_id", 2).bytes,
      document: key.string("x", String(repeating: "y", count: 3000)).bytes, token: "2")
    batch.add(.insert, key: Document().int32("_id", 3).bytes, document: key.raw("x", [0xFF, 0xFE]).bytes, token: "3")
    batch.add(.insert, key: Document().int32("_id", 4).bytes, document: Array(key.bytes.dropLast(3)), token: "4")
    let prepared = try await rig.prepare(.at(1, 1), [batch.batch])
    #expect(prepared.counts == RecordCounts(committed: 1, rejected: 3))
    let letters = rig.letters.all
    #expect(letters.map(\.error.code) == [.rowTooLarge, "formats.malformed_bson", "formats.malformed_bson"])
    #expect(
      letters[0].error.place?.key == #"{"_id":{"$numberInt":"2"}}"# && letters[0].error.place?.path == "shop.orders")
    #expect(letters.allSatisfy { $0.error.disposition == .reject })
    #expect(try await rig.commit(prepared).rows == 1)
    var only = ChangeBatch()
    only.add(.insert, key: key.bytes, document: [1, 2, 3])
    let empty = try await rig.prepare(.at(1, 2), [only.batch])
    #expect(empty.isEmpty && empty.counts == RecordCounts(rejected: 1))
    await rig.close()
  }

  @Test func csvKeepsNullEmptyQuotesAndTypes() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await rig.open()
    let schema = RecordSchema(columns: [
      .init("id", .integer), .init("First Name"), .init("price", .number), .init("on", .date), .init("ok", .boolean),
    ])
    let rows = [
      "1,\"a,\"\"b\"\"\nc\",19.990,2026-01-02,true", "2,,,,", "3,\"\",1e400,,false",
      "4, x ,12345678901234567890.123456789,,",
      "5,\\N,0,,", "6,NULL,-1,,",
    ]
    let prepared = try await rig.prepare(.at(1, 1), [Plain.csv(rows.map { Array($0.utf8) }, schema)])
    #expect(try await rig.commit(prepared).rows == 6)
    let loaded = try await standIn.rows("RAW.SHOP.ORDERS", order: "ID")
    #expect(loaded.map { $0["First Name"] } == [.string("a,\"b\"\nc"), .null, "", " x ", "\\N", "NULL"])
    #expect(
      loaded.map { $0["PRICE"]?.stringOrNumber } == [
        "19.990", nil, "1e400", "12345678901234567890.123456789", "0", "-1",
      ])
    #expect(loaded[0]["ON"]?.string == "2026-01-02" && loaded[0]["OK"]?.bool == true)
    await rig.close()
  }

  @Test(arguments: ["", "JSON"])
  func flatJSONKeepsEveryValue(_ format: String) async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["file_format": format])
    try await rig.open()
    let lines = [
      #"{"id":9007199254740993,"name":"x \"y\"\n","tags":[1,{"a":null}],"note":""}"#,
      #"{"id":2,"name":null,"extra":1.25}"#,
      #"{"extra":true,"id":3}"#,
    ]
    let prepared = try await rig.prepare(.at(1, 1), [Plain.json(lines)])
    #expect(try await rig.commit(prepared).rows == 3)
    let loaded = try await standIn.rows("RAW.SHOP.ORDERS")
    let byID = Dictionary(uniqueKeysWithValues: loaded.map { ($0["ID"]?.stringOrNumber ?? "", $0) })
    #expect(byID["9007199254740993"]?["NAME"]?.string == "x \"y\"\n")
    #expect(
      byID["9007199254740993"]?["TAGS"]?.string == #"[1,{"a":null}]"# && byID["9007199254740993"]?["NOTE"]?.string == ""
    )
    #expect(
      byID["2"]?["NAME"] == .null && byID["2"]?["EXTRA"]?.string == "1.25" && byID["3"]?["EXTRA"]?.string == "true")
    // A field without a column stops, and says what to run.
    let error = await #expect(throws: NebulaError.self) {
      _ = try await rig.prepare(.at(1, 2), [Plain.json([#"{"id":4,"new":1}"#])])
    }
    #expect(error?.code == .unknownColumn && error?.remedy.contains("ADD COLUMN \"NEW\"") == true)
    await rig.close()
  }

  @Test func aTableOfTheUsersGivesItsTypes() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await rig.destination.runForTest(
      "CREATE TABLE \"RAW\".\"SHOP\".\"ORDERS\" (ID NUMBER(38,0), NAME VARCHAR, AMOUNT NUMBER(10,2))")
    try await rig.open()
    let prepared = try await rig.prepare(
      .at(1, 1), [Plain.json([#"{"id":1,"name":"x"}"#, #"{"amount":1.25,"id":2}"#])])
    #expect(try await rig.commit(prepared).rows == 2)
    let loaded = try await standIn.rows("RAW.SHOP.ORDERS", order: "ID")
    #expect(loaded[0]["NAME"]?.string == "x" && loaded[1]["AMOUNT"]?.stringOrNumber == "1.25")
    // A value that the column has no room for stops with file, line and reason; nothing of the epoch is there.
    let bad = try await rig.prepare(.at(1, 2), [Plain.json([#"{"id":3}"#, #"{"id":4,"amount":1234567890.5}"#])])
    let error = await #expect(throws: NebulaError.self) { try await rig.commit(bad) }
    #expect(error?.code == .copyRejected && error?.message.contains("1234567890.5") == true)
    #expect(error?.place?.line == 2)
    #expect(try await standIn.rows("RAW.SHOP.ORDERS").count == 2)
    await rig.close()
  }

  @Test func tenThousandColumns() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await rig.open()
    let schema = RecordSchema(columns: (0..<10_000).map { .init("c\($0)") })
    let row = Array((0..<10_000).map { "v\($0)" }.joined(separator: ",").utf8)
    let prepared = try await rig.prepare(.at(1, 1), [Plain.csv([row, row], schema)])
    #expect(try await rig.commit(prepared).rows == 2)
    await rig.close()
  }

  @Test func smallBudgetAndSpoolStillLoad() async throws {
    let standIn = try StandIn()
    let rig = try Rig(
      standIn, budget: 256 << 10, spoolBytes: 96 << 10, ["compression_type": "NONE", "max_file_size": "1MiB"])
    try await rig.open()
    let batches = (0..<10).map { ChangeBatch.orders(500, from: $0 * 500) }
    let prepared = try await rig.prepare(.at(1, 1), batches)
    #expect(try await rig.commit(prepared).rows == 5000)
    #expect(try FileManager.default.contentsOfDirectory(atPath: rig.folder + "/spool").isEmpty)
    #expect(rig.budget.inFlight == 0)
    await rig.close()
  }

  @Test func aSpoolThatCannotBeWrittenIsAClearErrorAndLosesNothing() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, budget: 64 << 10, ["compression_type": "NONE"])
    try await rig.open()
    try FileManager.default.removeItem(atPath: rig.folder + "/spool")
    let error = await #expect(throws: NebulaError.self) {
      _ = try await rig.prepare(.at(1, 1), (0..<4).map { ChangeBatch.orders(1000, from: $0 * 1000) })
    }
    #expect(error?.code == .spoolFailed && error?.native == "errno 2" && error?.exit == .environment)
    try await rig.destination.abort(.at(1, 1), nil)
    try FileManager.default.createDirectory(atPath: rig.folder + "/spool", withIntermediateDirectories: true)
    let again = try await rig.prepare(.at(1, 2), (0..<4).map { ChangeBatch.orders(1000, from: $0 * 1000) })
    #expect(try await rig.commit(again).rows == 4000)
    await rig.close()
  }

  @Test func aDocumentOfAlmostSixteenMegabytes() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await rig.open()
    let key = Document().int32("_id", 1)
    let text = String(repeating: "0123456789abcdef", count: 15_900_000 / 16)
    var batch = ChangeBatch()
    batch.add(.insert, key: key.bytes, document: key.string("text", text).bytes, token: "1")
    let prepared = try await rig.prepare(.at(1, 1), [batch.batch, ChangeBatch.orders(3, from: 10)])
    #expect(prepared.counts == RecordCounts(committed: 4))
    #expect(try await rig.commit(prepared).rows == 4)
    let row = try #require(try await standIn.rows("RAW.SHOP.ORDERS").first { $0["EVENT_ID"]?.string == "1" })
    #expect(try JSONValue(parsing: row["DOCUMENT"]?.string ?? "")["text"]?.string == text)
    await rig.close()
  }

  @Test func nothingIsSentForNothing() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await rig.open()
    let before = try await standIn.statements().count
    try await rig.destination.begin(.at(1, 1), pin: nil)
    let swept = try await standIn.statements().count
    let prepared = try await rig.destination.prepare(.at(1, 1))
    #expect(prepared.isEmpty)
    #expect(try await standIn.statements().count == swept && swept - before <= 1)
    await rig.close()
  }
}

extension SnowflakeDestination {
  func runForTest(_ sql: String) async throws {
    _ = try await pool.with { session in try await session.succeed(sql, trying: "test") }
  }
}
