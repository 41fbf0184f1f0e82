import NebulaCore
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

/// Rows that COPY would refuse: they are rejected before, or the way out that the error names is one.
@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct BadRowTests {
  private static let typed =
    "CREATE TABLE \"RAW\".\"SHOP\".\"ORDERS\" (ID NUMBER(38,0), AMOUNT NUMBER(4,2), NAME VARCHAR(5), DAY DATE, "
    + "AT TIMESTAMP_NTZ, OK BOOLEAN)"

  @Test(arguments: ["CSV", "JSON"])
  func valuesThatTheColumnCannotTakeAreRejectedRecords(_ format: String) async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["file_format": format])
    try await rig.destination.runForTest(Self.typed)
    try await rig.open()
    let prepared = try await rig.prepare(
      .at(1, 1),
      [
        Plain.json([
          #"{"id":1,"amount":"1.5","name":"x","day":"2024-02-29","at":"2026-01-02T03:04:05.678","ok":true}"#,
          #"{"id":"abc"}"#, #"{"id":2,"day":"2023-02-29"}"#, #"{"id":3,"at":"soon"}"#, #"{"id":4,"ok":"maybe"}"#,
          #"{"id":{"a":5}}"#, #"{"id":123456789012345678901234567890123456789}"#, #"{"id":""}"#,
          #"{"id":"\u0037","ok":null}"#,
        ])
      ])
    #expect(prepared.counts == RecordCounts(committed: 2, rejected: 7))
    #expect(rig.letters.all.allSatisfy { $0.error.code == .unreadableRecord && $0.error.disposition == .reject })
    #expect(rig.letters.all[0].error.message == "The column 'ID' is NUMBER(38,0), which can't take 'abc'.")
    #expect(try await rig.commit(prepared).rows == 2)
    #expect(try await standIn.rows("RAW.SHOP.ORDERS", order: "ID").map { $0["ID"]?.stringOrNumber } == ["1", "7"])
    await rig.close()
  }

  @Test func declaredColumnsOfCSVAreCheckedAgainstTheTable() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await rig.open()
    let schema = RecordSchema(columns: [.init("n", .integer), .init("on", .date), .init("x")])
    let rows = ["1,2026-01-02,a", "abc,,b", "2,2026-13-01,c", "3,,d"].map { Array($0.utf8) }
    let prepared = try await rig.prepare(.at(1, 1), [Plain.csv(rows, schema)])
    #expect(prepared.counts == RecordCounts(committed: 2, rejected: 2))
    #expect(try await rig.commit(prepared).rows == 2)
    await rig.close()
  }

  /// Prepares an epoch that COPY refuses in the end, and starts a new process's destination that meets it again.
  private func refused(_ standIn: StandIn, _ format: String) async throws -> (Rig, PreparedEpoch, NebulaError) {
    let first = try Rig(standIn, ["file_format": format])
    try await first.destination.runForTest(Self.typed)
    try await first.open()
    let prepared = try await first.prepare(
      .at(1, 1), [Plain.json([#"{"id":1,"name":"x"}"#, #"{"id":2,"amount":123.45,"name":"toolong"}"#])])
    await #expect(throws: NebulaError.self) { try await first.commit(prepared) }
    await first.close()
    let second = try Rig(standIn, ["file_format": format])
    try await second.open(2)
    #expect(try await second.destination.recover(prepared) == .ready)
    let error = try #require(await #expect(throws: NebulaError.self) { try await second.commit(prepared) })
    #expect(error.code == .copyRejected && error.place?.line == 2 && error.disposition == .stop)
    #expect(try await standIn.rows("RAW.SHOP.ORDERS").isEmpty)
    return (second, prepared, error)
  }

  @Test(arguments: ["CSV", "JSON"])
  func aWiderColumnLetsTheSameFilesIn(_ format: String) async throws {
    let standIn = try StandIn()
    let (rig, prepared, error) = try await refused(standIn, format)
    #expect(error.remedy.contains("ALTER TABLE \"RAW\".\"SHOP\".\"ORDERS\""))
    for change in ["AMOUNT SET DATA TYPE NUMBER(10,2)", "NAME SET DATA TYPE VARCHAR(50)"] {
      try await rig.destination.runForTest("ALTER TABLE \"RAW\".\"SHOP\".\"ORDERS\" ALTER COLUMN \(change)")
    }
    #expect(try await rig.destination.recover(prepared) == .ready)
    #expect(try await rig.commit(prepared).rows == 2)
    let row = try #require(try await standIn.rows("RAW.SHOP.ORDERS", order: "ID").last)
    #expect(row["NAME"] == "toolong" && row["AMOUNT"]?.stringOrNumber == "123.45")
    await rig.close()
  }

  @Test func removingTheFilesAsTheErrorSaysLetsTheEpochBeReadAnew() async throws {
    let standIn = try StandIn()
    let (rig, prepared, error) = try await refused(standIn, "CSV")
    let remove = try #require(error.remedy.firstMatch(of: /REMOVE (@\S+) and/)?.1)
    #expect(remove == "@\"RAW\".\"SHOP\".\"NEBULA_STAGE\"/nebula/orders/ORDERS/0000000001-0000000001-")
    try await rig.destination.runForTest("REMOVE \(remove)")
    #expect(try await standIn.stagedFiles().isEmpty)
    #expect(try await rig.destination.recover(prepared) == .gone)
    await rig.close()
  }

  @Test func ofTwoMembersWithOneNameTheLastWins() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await rig.open()
    var batch = ChangeBatch()
    let key = Document().int32("_id", 1)
    batch.add(.insert, key: key.bytes, document: key.int32("a", 1).int32("a", 2).bytes, token: "1")
    batch.add(
      .insert, key: key.bytes, document: key.document("o", Document().int32("a", 1).int32("a", 3)).bytes, token: "2")
    #expect(try await rig.commit(try await rig.prepare(.at(1, 1), [batch.batch])).rows == 2)
    let rows = try await standIn.rows("RAW.SHOP.ORDERS", order: "EVENT_ID")
    #expect(rows.map { $0["DOCUMENT"]?.string } == [#"{"_id":1,"a":2}"#, #"{"_id":1,"o":{"a":3}}"#])
    await rig.close()
  }

  @Test(arguments: ["", "CSV"])
  func aSingleColumnKeepsItsNulls(_ format: String) async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["file_format": format])
    try await rig.open()
    let rows = ["a", "", "\"\"", "\"two\nlines\"", "1"].map { Array($0.utf8) }
    let prepared = try await rig.prepare(.at(1, 1), [Plain.csv(rows, RecordSchema(columns: [.init("only")]))])
    #expect(prepared.counts == RecordCounts(committed: 5))
    #expect(try await rig.commit(prepared).rows == 5)
    let found = try await standIn.rows("RAW.SHOP.ORDERS").map { $0["ONLY"]?.string }
    #expect(found.count == 5 && Set(found) == ["a", nil, "", "two\nlines", "1"])
    await rig.close()
  }

  @Test func aSingleFieldOfJSONKeepsItsNulls() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await rig.open()
    let prepared = try await rig.prepare(.at(1, 1), [Plain.json([#"{"a":"x"}"#, #"{"a":null}"#, "{}"])])
    #expect(try await rig.commit(prepared).rows == 3)
    #expect(try await standIn.rows("RAW.SHOP.ORDERS").filter { $0["A"] == .null }.count == 2)
    await rig.close()
  }

  @Test func documentsAsCSVAreRefused() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["file_format": "CSV"])
    try await rig.open()
    let error = await #expect(throws: NebulaError.self) {
      _ = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(3)])
    }
    #expect(error?.code == .formatMismatch && error?.place?.path == "file_format" && error?.exit == .configuration)
    await rig.close()
  }

  @Test(arguments: ["CSV", "JSON"])
  func aTextTooLongForItsColumnIsNeverCut(_ format: String) async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["file_format": format])
    try await rig.destination.runForTest("CREATE TABLE \"RAW\".\"SHOP\".\"ORDERS\" (ID NUMBER(38,0), NAME VARCHAR(3))")
    try await rig.open()
    let long = try await rig.prepare(.at(1, 1), [Plain.json([#"{"id":1,"name":"abcd"}"#])])
    let error = await #expect(throws: NebulaError.self) { try await rig.commit(long) }
    #expect(error?.code == .copyRejected && error?.message.contains("too long") == true)
    await rig.close()
  }

  @Test func aNamespaceThatFoldsToTheTableOfAnotherRunIsRefused() async throws {
    let standIn = try StandIn()
    func load(_ collection: String, _ generation: UInt64, _ pipeline: String = "orders") async throws {
      let rig = try Rig(standIn, pipeline: pipeline, ["table": "{collection}"])
      try await rig.open(generation)
      let batch = ChangeBatch.orders(
        5, from: Int(generation) * 5, in: Namespace(database: "shop", collection: collection))
      _ = try await rig.commit(try await rig.prepare(.at(generation, 1), [batch]))
      await rig.close()
    }
    try await load("Orders", 1)
    let error = await #expect(throws: NebulaError.self) { try await load("orders", 2) }
    #expect(error?.code == .tablesCollide && error?.exit == .configuration)
    #expect(
      error?.message
        == "The namespaces 'shop.Orders' and 'shop.orders' both become the table \"RAW\".\"SHOP\".\"ORDERS\".")
    try await load("Orders", 3)
    #expect(try await standIn.rows("RAW.SHOP.ORDERS").count == 10)
  }

  @Test func aTableWithoutACommentIsMarkedAndOneWithAnotherIsLeftAlone() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["table": "{collection}"])
    try await rig.open()
    let columns = Landing.columns.map { "\($0.name.name) \($0.type)" }.joined(separator: ", ")
    try await rig.destination.runForTest("CREATE TABLE RAW.SHOP.PLAIN (\(columns))")
    try await rig.destination.runForTest("CREATE TABLE RAW.SHOP.OWN (\(columns)) COMMENT = 'of the user'")
    let batches = ["plain", "own", "it's"].map { ChangeBatch.orders(1, in: Namespace(database: "s", collection: $0)) }
    #expect(try await rig.commit(try await rig.prepare(.at(1, 1), batches)).rows == 3)
    let shown = try await rig.destination.pool.with { session in
      try await session.query("SHOW TABLES IN SCHEMA RAW.SHOP", trying: "test")
    }
    var comments: [String: String] = [:]
    for row in shown.rows.indices { comments[shown[row, "name"] ?? ""] = shown[row, "comment"] }
    #expect(comments["PLAIN"] == "nebula-swift: rows of s.plain" && comments["OWN"] == "of the user")
    #expect(comments["it's"] == "nebula-swift: rows of s.it's")
    await rig.close()
  }

  @Test func whichTextsAColumnTakes() {
    func takes(_ type: String, _ text: String) -> Bool {
      Array(text.utf8).withUnsafeBytes { ColumnCheck(type: type).takes($0) }
    }
    let good: [String: [String]] = [
      "NUMBER(38,0)": [
        "0", "-1", "+7", " 12 ", "1.0", "1.50e1", ".50e1", "1e3", String(repeating: "9", count: 38), "00",
      ],
      "NUMBER(10,2)": ["1.5", ".25", "12345678901.2", "0e-9"],
      "FLOAT": ["1e308", "NaN", "-inf", "0.1"], "BOOLEAN": ["TRUE", "f", "Yes", "off", "1"],
      "DATE": ["2024-02-29", "2/29/2024", "21-NOV-2026", "2026-01-02 00:00"],
      "TIMESTAMP_NTZ(9)": [
        "2026-01-02", "2026-01-02T03", "2026-01-02 03:04:05", "2026-01-02T03:04:05.123456789Z", "1700000000.5",
      ],
      "TIMESTAMP_TZ(9)": [
        "2026-01-02T03:04:05+01:00", "2026-01-02 03:04:05 -0730", "Thu, 21 Dec 2000 16:01:07 +0200",
      ],
      "VARCHAR(3)": ["", "anything"],
    ]
    let bad: [String: [String]] = [
      // A fraction that the column has no digits for would be rounded without a word.
      "NUMBER(38,0)": ["1.5", ".5", "1E-400", "1e-1"],
      "NUMBER(10,2)": [
        "0.125", "1.5e-2", "", "abc", "1 2", "--1", "1e", "0x10", "true", "{}", "1e38",
        String(repeating: "9", count: 39),
      ],
      "FLOAT": ["", "x", "infinite"], "BOOLEAN": ["", "maybe", "2", "truee"],
      "DATE": ["", "2023-02-29", "2026-13-01", "2026-1", "soon", "31/12/2024", "2026-01-02x", "2026-01-02 03:04"],
      "TIMESTAMP_TZ(9)": ["", "2026-01-02T25:00:00", "2026-01-02T03:04:05+25:00", "2026-01-02T03:04:05 UTC", "now"],
    ]
    for (type, texts) in good { for text in texts { #expect(takes(type, text), "\(type) \(text)") } }
    for (type, texts) in bad { for text in texts { #expect(!takes(type, text), "\(type) \(text)") } }
  }
}
