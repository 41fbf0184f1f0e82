import NebulaCore
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

/// Rows that the load can't take: left out, kept byte for byte with their reason, and counted.
@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct OnErrorTests {
  private static let typed =
    "CREATE TABLE \"RAW\".\"SHOP\".\"ORDERS\" (ID NUMBER(38,0) NOT NULL, AMOUNT NUMBER(4,2), NAME VARCHAR(5), DOC VARIANT)"
  private static let lines = [
    #"{"id":1,"name":"x","amount":1.5}"#, #"{"id":2,"amount":123.45,"name":"é"}"#, #"{"id":3,"name":"toolong"}"#,
    #"{"id":4,"name":"a,\"b","doc":{"a":[1,2]}}"#, #"{"name":"noid"}"#, #"{"id":6}"#,
  ]
  private static let bad = [1, 2, 4]

  private func rig(_ standIn: StandIn, _ onError: String, _ format: String = "", files: Int = 100, async: Bool = false)
    async throws -> Rig
  {
    let rig = try Rig(
      standIn,
      [
        "file_format": format, "micro_batch_size": "\(files)", "async_copy": "\(async)",
      ], onError: onError)
    return rig
  }

  /// Commits as the runtime does: the replacement takes the epoch's place, and is asked for before it is committed.
  private func commit(_ rig: Rig, _ prepared: PreparedEpoch) async throws -> (
    CommitReceipt, [RejectedRecord], PreparedEpoch
  ) {
    guard case .replaced(let next, let rejected) = try await rig.destination.commit(prepared) else {
      throw NebulaError("test.not_replaced", "nothing was left out", remedy: "")
    }
    #expect(next.id == prepared.id && next.counts.total == prepared.counts.total)
    #expect(next.counts.rejected - prepared.counts.rejected == UInt64(rejected.count))
    #expect(try await rig.destination.recover(next) == .ready)
    let receipt = try await rig.commit(next)
    #expect(receipt.counts == next.counts)
    #expect(try await rig.destination.recover(next) == .committed(receipt))
    #expect(try await rig.commit(next) == receipt)
    return (receipt, rejected, next)
  }

  @Test(arguments: ["JSON", "CSV"], ["S3", "AZURE", "GCS", "LOCAL_FS"])
  func rowsAreLeftOutAndKept(_ format: String, _ location: String) async throws {
    let standIn = try StandIn(["--location", location])
    let rig = try await rig(standIn, "CONTINUE", format)
    try await rig.destination.runForTest(Self.typed)
    try await rig.open()
    let prepared = try await rig.prepare(.at(1, 1), [Plain.json(Self.lines)])
    let (receipt, rejected, _) = try await commit(rig, prepared)
    #expect(receipt.rows == 3 && receipt.counts == RecordCounts(committed: 3, rejected: 3))
    #expect(
      try await standIn.rows("RAW.SHOP.ORDERS", order: "ID").map { $0["ID"]?.stringOrNumber } == ["1", "4", "6"])
    // As they were staged: under their columns' names, or in the columns' order.
    let staged =
      format == "CSV"
      ? ["2,123.45,é,", "3,,toolong,", ",,noid,"]
      : [#"{"ID":2,"AMOUNT":123.45,"NAME":"é"}"#, #"{"ID":3,"NAME":"toolong"}"#, #"{"NAME":"noid"}"#]
    #expect(rejected.map { String(decoding: $0.payload, as: UTF8.self) } == staged)
    #expect(rejected.map(\.format) == Array(repeating: format == "CSV" ? .csv : .json, count: 3))
    let errors = rejected.map(\.error)
    #expect(errors.allSatisfy { $0.code == .rowLeftOut && $0.disposition == .reject })
    #expect(errors.map { $0.place?.line } == [2, 3, 5])
    #expect(
      errors.allSatisfy { $0.place?.path.hasPrefix("nebula/orders/ORDERS/0000000001-0000000001-000001.") == true })
    for (error, (value, column)) in zip(errors, [("123.45", "AMOUNT"), ("toolong", "NAME"), ("NULL result", "ID")]) {
      #expect(error.message.contains(value) && error.message.contains("[\"\(column)\":"), "\(error)")
      #expect(error.native?.hasPrefix("query ") == true && error.place?.column != nil)
    }
    // Nothing stays behind but the epoch's file.
    #expect(try await standIn.stagedFiles().count == 1)
    #expect(try await standIn.control("transactions", method: "GET")["transactions"] == [])
    await rig.close()
  }

  @Test(arguments: [false, true]) func aSkippedFileIsKeptWhole(_ isAsync: Bool) async throws {
    let standIn = try StandIn()
    let rig = try await rig(standIn, "SKIP_FILE", "JSON", files: 2, async: isAsync)
    try await rig.destination.runForTest(Self.typed)
    try await rig.open()
    // Three files of two: only the last but one row is in a file without a bad one … none is: 1+2, 3+4, 5+6.
    let good = #"{"id":7,"name":"good"}"#
    let prepared = try await rig.prepare(.at(1, 1), [Plain.json(Self.lines + [good, good])])
    let (receipt, rejected, next) = try await commit(rig, prepared)
    #expect(receipt.rows == 2 && receipt.files == 1 && receipt.counts == RecordCounts(committed: 2, rejected: 6))
    #expect(try await standIn.rows("RAW.SHOP.ORDERS").count == 2)
    #expect(rejected.count == 6 && Set(rejected.map(\.payload)).count == 6)
    let byLine = Dictionary(grouping: rejected) { $0.error.place?.path ?? "" }
    #expect(byLine.count == 3 && byLine.values.allSatisfy { $0.map { $0.error.place?.line } == [1, 2] })
    #expect(rejected.filter { $0.error.message.contains("left the row out") }.count == 3)
    #expect(rejected.filter { $0.error.message.contains("left the row's file out, because of its line") }.count == 3)
    // The files that were not loaded are removed with the others.
    try await rig.destination.settled(receipt, next)
    #expect(try await standIn.stagedFiles().isEmpty)
    await rig.close()
  }

  @Test func anEpochOfWhichNothingIsLeftIsCommittedAsWell() async throws {
    for onError in ["CONTINUE", "SKIP_FILE"] {
      let standIn = try StandIn()
      let rig = try await rig(standIn, onError)
      try await rig.destination.runForTest(Self.typed)
      try await rig.open()
      let prepared = try await rig.prepare(.at(1, 1), [Plain.json([#"{"name":"noid"}"#, #"{"name":"no id"}"#])])
      let (receipt, rejected, _) = try await commit(rig, prepared)
      #expect(receipt.rows == 0 && receipt.files == 0 && rejected.count == 2)
      #expect(try await standIn.rows("RAW.SHOP.NEBULA_LEDGER").count == 1)
      await rig.close()
    }
  }

  @Test func documentsThatAreTooLargeAreLeftOut() async throws {
    let standIn = try StandIn(["--set", "max_variant_bytes=2000"])
    let rig = try await rig(standIn, "CONTINUE", files: 10)
    try await rig.open()
    var batch = ChangeBatch()
    for number in 0..<20 {
      let key = Document().int32("_id", Int32(number))
      let document = number % 7 == 3 ? key.string("x", String(repeating: "y", count: 3000)) : key
      batch.add(
        .insert, key: key.bytes, document: document.bytes, token: "\(number)",
        sequence: ChangeSequence(clusterTime: 7, index: UInt32(number)))
    }
    let prepared = try await rig.prepare(.at(1, 1), [batch.batch])
    let (receipt, rejected, _) = try await commit(rig, prepared)
    #expect(receipt.rows == 17 && rejected.count == 3)
    let ids = rejected.compactMap { try? JSONValue(parsing: $0.payload)["document"]?["_id"]?.integer }
    #expect(ids == [3, 10, 17])
    #expect(try await standIn.rows("RAW.SHOP.ORDERS").count == 17)
    await rig.close()
  }

  /// Two tables and several COPY statements: all bad rows are found at once.
  @Test func allTablesAreLookedAtAtOnce() async throws {
    let standIn = try StandIn()
    let rig = try Rig(
      standIn, ["table": "{collection}", "micro_batch_size": "3", "files_per_copy": "1"], onError: "CONTINUE")
    for name in ["ONE", "TWO"] {
      try await rig.destination.runForTest(
        "CREATE TABLE \"RAW\".\"SHOP\".\"\(name)\" (ID NUMBER(38,0), NAME VARCHAR(5))")
    }
    try await rig.open()
    func lines(_ from: Int) -> [String] {
      (from..<from + 9).map { #"{"id":\#($0),"name":"\#($0 % 3 == 0 ? "toolong" : "x")"}"# }
    }
    let prepared = try await rig.prepare(
      .at(1, 1), [Plain.json(lines(0), "one"), Plain.json(lines(100), "two")])
    let (receipt, rejected, _) = try await commit(rig, prepared)
    #expect(receipt.rows == 12 && rejected.count == 6)
    #expect(try await standIn.rows("RAW.SHOP.ONE").count == 6)
    #expect(try await standIn.rows("RAW.SHOP.TWO").count == 6)
    await rig.close()
  }

  /// Identical bad rows, quotes and line breaks: each row of the file has its own dead letter.
  @Test func rowsThatLookAlikeAreCountedEach() async throws {
    let standIn = try StandIn()
    let rig = try await rig(standIn, "CONTINUE", "CSV")
    try await rig.destination.runForTest("CREATE TABLE \"RAW\".\"SHOP\".\"ORDERS\" (ID NUMBER(38,0), NAME VARCHAR(9))")
    try await rig.open()
    let rows = ["1,\"a\n\"\"b\"\"\"", "2,\"much too long\nfor it\"", "2,\"much too long\nfor it\"", "3,x"].map {
      Array($0.utf8)
    }
    let prepared = try await rig.prepare(
      .at(1, 1), [Plain.csv(rows, RecordSchema(columns: [.init("id", .integer), .init("name")]))])
    let (receipt, rejected, _) = try await commit(rig, prepared)
    #expect(receipt.rows == 2 && rejected.map(\.payload) == [rows[1], rows[2]])
    #expect(rejected.map { $0.error.place?.line } == [3, 5])
    await rig.close()
  }

  // MARK: crashes, lost answers, changes in between

  /// Whatever fails while bad rows are looked for: nothing is committed, and the next try finds the same.
  @Test(arguments: [
    #"{"sql":"^COPY","action":"apply_close","nth":1}"#, #"{"sql":"^COPY","action":"kill","nth":1}"#,
    #"{"sql":"^COPY INTO .*REJECTS","action":"kill"}"#, #"{"sql":"^ALTER TABLE .*REJECTS","action":"kill"}"#,
    #"{"sql":"^CREATE TEMP","action":"fail"}"#,
    #"{"sql":"^ROLLBACK","action":"close","times":9}"#, #"{"sql":"^GET","action":"kill"}"#,
    #"{"sql":"BEHIND","action":"truncate","keep":9}"#, #"{"sql":"0000000001-0-","action":"fail","code":"000603"}"#,
    #"{"service":"s3","method":"GET","action":"status","status":503,"times":2}"#,
  ])
  func theSameIsFoundAgainAfter(_ fault: String) async throws {
    let standIn = try StandIn()
    let rig = try await rig(standIn, "CONTINUE", "JSON")
    try await rig.destination.runForTest(Self.typed)
    try await rig.open()
    let prepared = try await rig.prepare(.at(1, 1), [Plain.json(Self.lines)])
    try await standIn.faults(try JSONValue(parsing: fault))
    var outcome: CommitOutcome?
    for _ in 0..<4 where outcome == nil {
      do { outcome = try await rig.destination.commit(prepared) } catch let error as NebulaError {
        #expect(error.isRetryable, "\(error)")
        try await standIn.faults()
        #expect(try await rig.destination.recover(prepared) == .ready)
      }
    }
    guard case .replaced(let next, let rejected) = outcome else {
      Issue.record("\(String(describing: outcome))")
      return
    }
    try await standIn.faults()
    #expect(rejected.count == 3 && next.counts == RecordCounts(committed: 3, rejected: 3))
    #expect(try await standIn.rows("RAW.SHOP.ORDERS").isEmpty)
    // The process dies before the replacement is stored: the next one is told the same, byte for byte.
    let second = try await self.rig(standIn, "CONTINUE", "JSON")
    try await second.open(2)
    #expect(try await second.destination.recover(prepared) == .ready)
    guard case .replaced(let again, let same) = try await second.destination.commit(prepared) else {
      Issue.record("not replaced")
      return
    }
    #expect(again == next && same.map(\.payload) == rejected.map(\.payload))
    // After it is stored: it is committed with the new counts, whatever answers are lost.
    try await standIn.faults(["sql": "^COMMIT", "action": "apply_close", "times": 9])
    #expect(try await second.commitWithRecovery(again) { _ = try? await standIn.faults() }.rows == 3)
    #expect(try await standIn.rows("RAW.SHOP.ORDERS").count == 3)
    await rig.close()
    await second.close()
  }

  /// Between the replacement and its commit the table changes: what is left out is not what the dead letters hold.
  @Test(arguments: ["NAME SET DATA TYPE VARCHAR(50)", "AMOUNT SET DATA TYPE NUMBER(20,2)"])
  func anotherSetOfRowsIsRefused(_ change: String) async throws {
    let standIn = try StandIn()
    let rig = try await rig(standIn, "CONTINUE", "JSON")
    try await rig.destination.runForTest(Self.typed)
    try await rig.open()
    let prepared = try await rig.prepare(.at(1, 1), [Plain.json(Self.lines)])
    guard case .replaced(let next, _) = try await rig.destination.commit(prepared) else { throw CancellationError() }
    try await rig.destination.runForTest("ALTER TABLE \"RAW\".\"SHOP\".\"ORDERS\" ALTER COLUMN \(change)")
    let error = await #expect(throws: NebulaError.self) { try await rig.destination.commit(next) }
    #expect(error?.code == .copyIncomplete && error?.disposition == .stop)
    #expect(error?.remedy.contains("REMOVE @\"RAW\"") == true)
    #expect(try await standIn.rows("RAW.SHOP.ORDERS").isEmpty)
    #expect(try await standIn.control("transactions", method: "GET")["transactions"] == [])
    await rig.close()
  }

  /// All of them are good by now: the file is loaded whole, and what the dead letters hold would be there as well.
  @Test func rowsThatHaveBecomeGoodAreRefusedWithAWayOut() async throws {
    let standIn = try StandIn()
    let rig = try await rig(standIn, "CONTINUE", "JSON")
    try await rig.destination.runForTest("CREATE TABLE \"RAW\".\"SHOP\".\"ORDERS\" (ID NUMBER(38,0), NAME VARCHAR(5))")
    try await rig.open()
    let prepared = try await rig.prepare(
      .at(1, 1), [Plain.json([#"{"id":1,"name":"x"}"#, #"{"id":2,"name":"toolong"}"#])])
    guard case .replaced(let next, _) = try await rig.destination.commit(prepared) else { throw CancellationError() }
    try await rig.destination.runForTest(
      "ALTER TABLE \"RAW\".\"SHOP\".\"ORDERS\" ALTER COLUMN NAME SET DATA TYPE VARCHAR(50)")
    let error = await #expect(throws: NebulaError.self) { try await rig.destination.commit(next) }
    #expect(error?.code == .copyIncomplete && error?.remedy.contains("REMOVE @\"RAW\"") == true)
    #expect(try await standIn.rows("RAW.SHOP.ORDERS").isEmpty)
    await rig.close()
  }

  /// A passcode is good for one login, so there may be no other session than this one.
  @Test func oneSessionIsEnough() async throws {
    let standIn = try StandIn()
    let rig = try Rig(
      standIn, ["file_format": "JSON", "connection_pool_size": "1"], onError: "CONTINUE")
    try await rig.destination.runForTest(Self.typed)
    try await rig.open()
    let sessions = try await standIn.sessions()
    let (receipt, rejected, _) = try await commit(rig, try await rig.prepare(.at(1, 1), [Plain.json(Self.lines)]))
    #expect(receipt.rows == 3 && rejected.count == 3)
    #expect(try await standIn.sessions() == sessions)
    #expect(try await standIn.statements { $0.hasPrefix("DROP TABLE") && $0.contains("NEBULA_REJECTS") }.count > 0)
    await rig.close()
  }

  @Test(arguments: ["silent", "row"]) func aFileThatIsMissingIsNoBadRow(_ mode: String) async throws {
    for onError in ["CONTINUE", "SKIP_FILE"] {
      let standIn = try StandIn(["--set", "missing_files=\(mode)"])
      let rig = try await rig(standIn, onError, "JSON", files: 2)
      try await rig.open()
      let prepared = try await rig.prepare(
        .at(1, 1), [Plain.json([#"{"a":1,"b":2}"#, #"{"a":2,"b":2}"#, #"{"a":3,"b":2}"#])])
      try await rig.destination.removeForTest(try #require(try await standIn.stagedFiles().first))
      let error = await #expect(throws: NebulaError.self) { try await rig.destination.commit(prepared) }
      #expect(error?.code == .copyIncomplete && error?.isRetryable == true)
      #expect(try await rig.destination.recover(prepared) == .gone)
      await rig.close()
    }
  }

  @Test func withoutOnErrorTheRowIsShown() async throws {
    let standIn = try StandIn()
    for format in ["JSON", "CSV"] {
      let rig = try Rig(standIn, pipeline: format, ["file_format": format, "table": format])
      try await rig.destination.runForTest(
        "CREATE TABLE \"RAW\".\"SHOP\".\"\(format)\" (ID NUMBER(38,0) NOT NULL, NAME VARCHAR(5))")
      try await rig.open()
      let prepared = try await rig.prepare(
        .at(1, 1), [Plain.json([#"{"id":1,"name":"x"}"#, #"{"name":"secret"}"#])])
      let error = await #expect(throws: NebulaError.self) { try await rig.destination.commit(prepared) }
      #expect(error?.code == .copyRejected && error?.place?.line == 2)
      #expect(
        error?.message.contains(format == "CSV" ? "The row: ',secret'" : #"The row: '{"NAME":"secret"}'"#) == true,
        "\(error as Any)")
      await rig.close()
    }
  }
}
