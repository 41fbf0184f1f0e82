import NebulaCore
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

/// COPY in the background: asked for until it has ended, its result always read, and never twice.
@Suite struct AsyncQueryTests {
  private func answer(_ status: String?) throws -> Envelope {
    let queries: JSONValue = status.map { [["status": .string($0)]] } ?? []
    let answer: JSONValue = ["success": true, "code": .null, "data": ["queries": queries]]
    return try Envelope(HTTPResponse(status: 200, body: answer.bytes))
  }

  @Test func pausesGrowAsTheDriversDo() {
    var query = AsyncQuery(id: "q", resultPath: nil)
    let pauses = (0..<9).map { _ in query.step(after: .running) }
    #expect(pauses == [500, 500, 1000, 1500, 2000, 4000, 5000, 5000, 5000].map { .wait(.milliseconds($0)) })
  }

  @Test(arguments: ["RUNNING", "QUEUED", "RESUMING_WAREHOUSE", "QUEUED_REPAIRING_WAREHOUSE", "BLOCKED", "blocked"])
  func runningIsAskedAgain(_ status: String) throws {
    var query = AsyncQuery(id: "q", resultPath: nil)
    for _ in 0..<100 {
      guard case .wait = query.step(after: AsyncQuery.state(in: try answer(status))) else {
        Issue.record("a result was asked for")
        return
      }
    }
  }

  @Test(arguments: [
    "SUCCESS", "ABORTING", "ABORTED", "FAILED_WITH_ERROR", "FAILED_WITH_INCIDENT", "DISCONNECTED",
  ])
  func anyEndIsReadAndOnlySuccessMaySucceed(_ status: String) throws {
    var query = AsyncQuery(id: "q", resultPath: nil)
    #expect(query.step(after: AsyncQuery.state(in: try answer(status))) == .read)
    let good = try answer("any")
    if status == "SUCCESS" {
      try query.check(good)
    } else {
      let error = #expect(throws: NebulaError.self) { try query.check(good) }
      #expect(error?.code == .badAnswer && error?.isRetryable == true)
    }
  }

  @Test(arguments: ["NO_DATA", "SOMETHING_NEW", nil]) func silenceIsBounded(_ status: String?) throws {
    var query = AsyncQuery(id: "q", resultPath: nil)
    let state = AsyncQuery.state(in: try answer(status))
    for _ in 1..<AsyncQuery.patience { #expect(query.step(after: state) != .read) }
    #expect(query.step(after: state) == .read)
    // What the result then says counts.
    try query.check(try answer(nil))
    // A known state in between starts the count anew.
    var other = AsyncQuery(id: "q", resultPath: nil)
    for _ in 1..<AsyncQuery.patience { _ = other.step(after: state) }
    _ = other.step(after: .queued)
    #expect(other.step(after: state) != .read)
  }

  @Test func addressesAndTags() {
    let query = AsyncQuery(id: "01b/x", resultPath: nil)
    #expect(query.statePath == "/monitoring/queries/01b%2Fx" && query.resultPath == "/queries/01b%2Fx/result")
    #expect(AsyncQuery(id: "q", resultPath: "/given").resultPath == "/given")
    let fence = Fence(
      pipeline: "a b", writer: "w", database: Identifier(exactly: "D"), schema: Identifier(exactly: "S"))
    let name = fence.transaction(4, .at(3, 9))
    let tag = QueryTag(pipeline: "a b", epoch: .at(3, 9), transaction: name)
    #expect(tag.text == "nebula-swift:a b:0000000003-0000000009 \(name)")
    #expect(QueryTag.transaction(in: tag.text) == name)
    for other in ["nebula-swift:orders", "by hand", "", "x \(name)"] {
      #expect(QueryTag.transaction(in: other) == nil, "\(other)")
    }
    #expect(fence.mayEnd(transaction: QueryTag.transaction(in: "nebula-swift:a b") ?? "", as: 9) == false)
  }
}

@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct AsyncCopyTests {
  private func once(_ standIn: StandIn, _ count: Int) async throws {
    let ids = try await standIn.rows("RAW.SHOP.ORDERS").compactMap { $0["EVENT_ID"]?.string }
    #expect(ids.count == count && Set(ids).count == count)
  }

  private func copies(_ standIn: StandIn) async throws -> [JSONValue] {
    try await standIn.control("queries?last=5000", method: "GET")["queries"]?.array?
      .filter { $0["sql"]?.string?.hasPrefix("COPY") == true } ?? []
  }

  @Test func aLongCopyIsPolledAndItsResultIsRead() async throws {
    let standIn = try StandIn()
    let passed = Lines()
    let rig = try Rig(standIn, crash: CrashPoints { passed.add($0) }, ["async_copy": "true", "micro_batch_size": "4"])
    try await rig.open()
    let prepared = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(10)])
    try await standIn.faults(["sql": "^COPY", "action": "slow_execution", "delay_ms": 700])
    let receipt = try await rig.commit(prepared)
    #expect(receipt.rows == 10 && receipt.files == 3)
    try await once(standIn, 10)
    let copies = try await copies(standIn)
    #expect(
      copies.count == 1 && copies[0]["tag"]?.string?.hasPrefix("nebula-swift:orders:0000000001-0000000001 ") == true)
    #expect(receipt.evidence == copies.compactMap { $0["id"]?.string })
    let points = passed.all.filter { $0 != "after-upload" && $0 != "while-polling" }
    #expect(
      points == [
        "before-commit", "after-submit", "after-result", "before-commit-statement", "after-commit-statement",
      ])
    #expect(passed.all.contains("while-polling"))
    await rig.close()
  }

  /// What the state says is not what was loaded: only the result tells that a file was skipped.
  @Test func aCopyThatSkippedAFileIsNoSuccess() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["async_copy": "true"])
    try await rig.open()
    let prepared = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(10)])
    let manifest = try Manifest(decoding: prepared)
    let statement = CopyStatement.all(
      for: manifest.tables[0], stage: manifest.stage, options: try CopyOptions([:]), limit: 9)[0].text
    try await rig.destination.pool.with { session in
      try await session.begin("SOMEBODY_ELSE")
      try await session.succeed(statement, trying: "test")
      try await session.commit()
    }
    let error = await #expect(throws: NebulaError.self) { try await rig.commit(prepared) }
    #expect(error?.code == .copyIncomplete && error?.message.contains("seen this file before") == true)
    await rig.close()
  }

  @Test func aRefusalIsTheSameAsWithoutAsync() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["async_copy": "true"])
    try await rig.destination.runForTest("CREATE TABLE \"RAW\".\"SHOP\".\"ORDERS\" (ID NUMBER(38,0), NAME VARCHAR(3))")
    try await rig.open()
    let bad = try await rig.prepare(.at(1, 1), [Plain.json([#"{"id":1}"#, #"{"id":2,"name":"abcd"}"#])])
    let error = await #expect(throws: NebulaError.self) { try await rig.commit(bad) }
    #expect(error?.code == .copyRejected && error?.place?.line == 2)
    #expect(try await standIn.rows("RAW.SHOP.ORDERS").isEmpty)
    #expect(try await standIn.control("transactions", method: "GET")["transactions"] == [])
    await rig.close()
  }

  /// Each fault hits the submission, the polls or the result of the second of two epochs.
  @Test(arguments: [
    #"{"sql":"^COPY","action":"apply_close"}"#, #"{"sql":"^COPY","action":"close"}"#,
    #"{"sql":"^COPY","action":"apply_status","status":503}"#, #"{"sql":"^COPY","action":"truncate","keep":20}"#,
    #"{"sql":"^COPY","action":"late","delay_ms":300,"times":9}"#, #"{"sql":"^COPY","action":"kill"}"#,
    #"{"path":"^/monitoring/","action":"status","status":503,"times":2}"#,
    #"{"path":"^/monitoring/","action":"close","times":0}"#, #"{"path":"^/monitoring/","action":"expire"}"#,
    #"{"path":"^/monitoring/","action":"kill"}"#, #"{"path":"^/queries/[^/]+/result","action":"apply_close"}"#,
    #"{"path":"^/queries/[^/]+/result","action":"kill"}"#,
    #"{"path":"^/queries/[^/]+/result","action":"truncate","keep":9}"#,
  ])
  func commitIsOnceUnder(_ fault: String) async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["async_copy": "true"])
    try await rig.open()
    let first = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(20)])
    let second = try await rig.prepare(.at(1, 2), [ChangeBatch.orders(30, from: 20)])
    _ = try await rig.commit(first)
    try await standIn.faults(try JSONValue(parsing: fault))
    #expect(try await rig.commitWithRecovery(second) { _ = try? await standIn.faults() }.rows == 30)
    #expect(try await standIn.rows("RAW.SHOP.NEBULA_LEDGER").count == 2)
    try await once(standIn, 50)
    await rig.close()
  }

  /// The request that had no answer is sent again with its id: one statement, whose result counts.
  @Test func aLostAnswerAtSubmissionIsAskedForAgain() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["async_copy": "true"])
    try await rig.open()
    let prepared = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(20)])
    try await standIn.faults(["sql": "^COPY", "action": "apply_close", "times": 2])
    #expect(try await rig.commit(prepared).rows == 20)
    #expect(try await standIn.faultsDone() == 2)
    #expect(try await copies(standIn).count == 1)
    try await once(standIn, 20)
    await rig.close()
  }

  /// Whoever stops waiting stops the statement, by its id: it is not carried out later.
  @Test func aCancelledCommitAbortsItsCopy() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["async_copy": "true"])
    try await rig.open()
    let prepared = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(20)])
    try await standIn.faults(
      ["path": "^/queries/[^/]+/abort-request", "action": "slow", "delay_ms": 0],
      ["path": "^/monitoring", "action": "slow", "delay_ms": 0, "nth": 2],
      ["sql": "^COPY", "action": "slow_execution", "gate": "copy"])
    let commit = Task { try await rig.commit(prepared) }
    try await standIn.until { try await standIn.faultCounts()[1] > 0 }
    commit.cancel()
    await #expect(throws: (any Error).self) { _ = try await commit.value }
    #expect(try await standIn.faultCounts() == [1, 1, 1])
    try await standIn.open(gate: "copy")
    try await standIn.until { try await copies(standIn)[0]["status"]?.string != "RUNNING" }
    #expect(try await copies(standIn)[0]["status"]?.string == "FAILED_WITH_ERROR")
    #expect(try await rig.destination.recover(prepared) == .ready)
    #expect(try await rig.commit(prepared).rows == 20)
    try await once(standIn, 20)
    await rig.close()
  }

  /// The writer dies while its COPY runs: the next one ends the transaction, asks the ledger, and copies once.
  @Test func aDeadWritersCopyIsEndedAndIssuedAgainOnce() async throws {
    let standIn = try StandIn()
    let dead = try Rig(standIn, ["async_copy": "true"])
    try await dead.open(1)
    let prepared = try await dead.prepare(.at(1, 1), [ChangeBatch.orders(10)])
    try await standIn.faults(["sql": "^COPY", "action": "slow_execution", "gate": "copy"])
    let commit = Task { try await dead.commit(prepared) }
    try await standIn.until { try await standIn.faultsDone() > 0 }
    try await standIn.control("kill-sessions")
    await #expect(throws: NebulaError.self) { _ = try await commit.value }
    let new = try Rig(standIn, ["async_copy": "true"])
    let opening = Task { try await new.open(2) }
    try await standIn.until {
      try await standIn.statements().contains { $0.hasPrefix("SELECT SYSTEM$ABORT_TRANSACTION") }
    }
    try await standIn.open(gate: "copy")
    try await opening.value
    #expect(try await new.destination.recover(prepared) == .ready)
    #expect(try await new.commit(prepared).rows == 10)
    // Committed: nothing is copied again, whoever asks.
    #expect(try await new.commit(prepared).rows == 10)
    #expect(try await copies(standIn).filter { $0["status"]?.string == "SUCCESS" }.count == 1)
    try await once(standIn, 10)
    await new.close()
    await dead.close()
  }

  @Test func epochsAreCommittedInTheirOrder() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["async_copy": "true"])
    try await rig.open()
    let first = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(5)])
    let second = try await rig.prepare(.at(1, 2), [ChangeBatch.orders(5, from: 5)])
    _ = try await rig.commit(second)
    let error = await #expect(throws: NebulaError.self) { try await rig.commit(first) }
    #expect(error?.code == .chainBroken)
    await rig.close()
  }
}
