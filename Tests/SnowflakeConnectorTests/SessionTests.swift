import Foundation
import NebulaCore
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

/// Sessions: who may use one again, how long an answer is awaited, and who gets one that is free.
@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct SessionTests {
  private func wire(_ standIn: StandIn, timeout: Duration = WireClient.timeout) throws -> (WireClient, Login) {
    let properties: Properties = [
      "account": "acme-eu1", "host": standIn.url, "user": "LOADER", "password": "secret-of-the-test",
      "database": "RAW", "schema": "SHOP", "table": "ORDERS", "warehouse": "LOAD_WH",
    ]
    let options = try SnowflakeOptions(decoding: properties)
    let endpoint = try Endpoint(options)
    var wire = WireClient(
      http: HTTPClient(), endpoint: endpoint, clock: .quick, random: { .random(in: $0) }, policy: WireClient.policy)
    wire.timeout = timeout
    let tokens = TokenContext(client: wire.http, clock: .quick)
    return (wire, try Login(options, endpoint: endpoint, pipeline: "orders", tokens: tokens, log: .silent))
  }

  private func session(_ standIn: StandIn, timeout: Duration = WireClient.timeout) throws -> Session {
    let (wire, login) = try wire(standIn, timeout: timeout)
    return Session(wire: wire, login: login, log: Logger { _, _ in })
  }

  // MARK: no answer

  /// COMMIT stays without an answer and is carried out later, in the middle of the next attempt: it must find nothing
  /// there that it could commit.
  @Test func aCommitThatComesLateMeetsNoOtherTransaction() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["table": "{collection}"])
    try await rig.open()
    let prepared = try await rig.prepare(
      .at(1, 1),
      [
        ChangeBatch.orders(10, in: Namespace(database: "shop", collection: "one")),
        ChangeBatch.orders(10, from: 10, in: Namespace(database: "shop", collection: "two")),
      ])
    try await standIn.faults(
      ["path": "abort-request", "action": "close", "times": 0],
      ["sql": "^COMMIT", "action": "late", "gate": "commit", "times": 0])
    let lost = await #expect(throws: NebulaError.self) { try await rig.commit(prepared) }
    #expect(lost?.isRetryable == true)
    #expect(try await rig.destination.recover(prepared) == .ready)
    // The next attempt has copied one table, and is about to fail at the other.
    try await standIn.faults(["sql": "^COPY", "nth": 2, "action": "fail", "gate": "copy"])
    let next = Task { try await rig.commit(prepared) }
    try await standIn.until { try await standIn.faultsDone() > 0 }
    try await standIn.open(gate: "commit")
    try await standIn.until { try await !standIn.fates(of: "COMMIT").contains("RUNNING") }
    try await standIn.open(gate: "copy")
    await #expect(throws: NebulaError.self) { try await next.value }
    #expect(try await rig.destination.recover(prepared) == .ready)
    #expect(try await rig.commit(prepared).rows == 20)
    #expect(try await standIn.rows("RAW.SHOP.ONE").count == 10)
    #expect(try await standIn.rows("RAW.SHOP.TWO").count == 10)
    #expect(try await standIn.rows("RAW.SHOP.NEBULA_LEDGER").count == 1)
    await rig.close()
  }

  /// What a statement does late (a CREATE commits what its session has open), it does in a session that nobody uses.
  @Test func aSessionThatHadNoAnswerIsGivenUpWithItsStatement() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await rig.open()
    let before = try await standIn.sessions()
    #expect(before.count == 1)
    try await standIn.faults(
      ["path": "abort-request", "action": "slow", "delay_ms": 0, "times": 0],
      ["sql": "^CREATE", "action": "close", "times": 0])
    await #expect(throws: NebulaError.self) { try await rig.destination.runForTest("CREATE TABLE RAW.SHOP.X (A INT)") }
    #expect(try await standIn.faultCounts() == [1, 8])
    try await rig.destination.runForTest("SELECT 1")
    let after = try await standIn.sessions()
    #expect(after.count == 1 && after != before)
    await rig.close()
  }

  // MARK: patience

  /// One connection that swallows a request must not use up all the time that there is for it.
  @Test func twoRequestsThatHearNothingAreFollowedByAThird() {
    let policy = WireClient.policy.lasting(atMost: .seconds(15 * 60))
    // The server says "still running" after 45 seconds.
    #expect(WireClient.timeout >= .seconds(90) && WireClient.timeout <= .seconds(150))
    for attempt in 1...2 {
      let elapsed = WireClient.timeout * attempt + .seconds(attempt)
      let decision = policy.decide(attempt: attempt, elapsed: elapsed, failure: .ambiguous, random: 0.999)
      #expect(decision != .giveUp, "after attempt \(attempt)")
    }
  }

  @Test func aRequestThatHearsNothingIsSentAgainWithItsID() async throws {
    let standIn = try StandIn()
    let session = try session(standIn, timeout: .seconds(1))
    _ = try await session.query("SELECT 1", trying: "test")
    try await standIn.faults(
      ["path": "retryCount=1", "action": "slow", "delay_ms": 0], ["sql": "wanted", "action": "stall", "gate": "never"])
    _ = try await session.query("SELECT 'wanted'", trying: "test")
    #expect(try await standIn.faultCounts() == [1, 1])
    #expect(try await standIn.fates(of: "SELECT 'wanted'") == ["SUCCESS"])
    #expect(await !session.mayNotBeUsedAgain)
    await session.close()
  }

  // MARK: HTTP statuses with an envelope

  @Test(arguments: [429, 408, 503] as [Int64]) func busyWithAnEnvelopeIsTriedAgain(_ status: Int64) async throws {
    let standIn = try StandIn()
    let session = try session(standIn)
    try await standIn.faults([
      "sql": "wanted", "action": "status", "status": .integer(status), "times": 2,
      "body": #"{"data":null,"code":"390000","message":"slow down","success":false}"#,
    ])
    _ = try await session.query("SELECT 'wanted'", trying: "test")
    #expect(try await standIn.faultsDone() == 2)
    await session.close()
  }

  @Test func anExpiredTokenWith401IsRenewed() async throws {
    let standIn = try StandIn()
    let session = try session(standIn)
    try await standIn.faults(
      ["path": "token-request", "action": "slow", "delay_ms": 0],
      [
        "sql": "wanted", "action": "status", "status": 401,
        "body": #"{"data":null,"code":"390112","message":"expired","success":false}"#,
      ])
    _ = try await session.query("SELECT 'wanted'", trying: "test")
    #expect(try await standIn.faultCounts() == [1, 1])
    await session.close()
  }

  // MARK: the pool

  /// A task that is cancelled while it waits, and woken all the same, hands the session on.
  @Test func aCancelledWaiterPassesTheSessionOn() async throws {
    let standIn = try StandIn()
    let (wire, login) = try wire(standIn)
    let pool = SessionPool(limit: 1, clock: .quick, log: Logger { _, _ in }) {
      Session(wire: wire, login: login, log: Logger { _, _ in })
    }
    let (held, isHeld) = AsyncStream.makeStream(of: Void.self)
    let (release, mayEnd) = AsyncStream.makeStream(of: Void.self)
    let holder = Task {
      try await pool.with { _ in
        isHeld.yield()
        for await _ in release {}
      }
    }
    for await _ in held { break }
    let cancelled = Task { try await pool.with { _ in } }
    while await pool.waiting < 1 { await Task.yield() }
    let served = Lines()
    let patient = Task { try await pool.with { _ in served.add("patient") } }
    while await pool.waiting < 2 { await Task.yield() }
    cancelled.cancel()
    mayEnd.finish()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
    let deadline = ContinuousClock.now + .seconds(20)
    while served.all.isEmpty, ContinuousClock.now < deadline { await Task.yield() }
    #expect(served.all == ["patient"])
    await pool.close()  // ends whoever still waits
    _ = await patient.result
    try await holder.value
  }

  // MARK: cancellation

  /// Requests that others may wait for as well end for a task as soon as it is cancelled: the server holds them
  /// back for two minutes, and a shutdown has no such time.
  @Test(arguments: ["login-request", "query-request"]) func aCancelledTaskWaitsForNoAnswer(_ held: String) async throws
  {
    let standIn = try StandIn()
    let first = try Rig(standIn)
    try await first.open()
    await first.close()
    let rig = try Rig(standIn)
    if held == "query-request" { try await rig.open(2) }
    try await standIn.faults(["path": .string(held), "action": "slow_before", "delay_ms": 0, "gate": .string(held)])
    let stage = await rig.destination.stage
    let asking = (0..<2).map { number in
      Task { try await stage.preparation(folder: "fresh", file: "f\(number)", .none) }
    }
    try await standIn.until { try await standIn.faultsDone() > 0 }
    let started = ContinuousClock.now
    for task in asking { task.cancel() }
    for task in asking { await #expect(throws: CancellationError.self) { _ = try await task.value } }
    #expect(ContinuousClock.now - started < .seconds(60))
    // Who comes next does not get the answer of the cancelled.
    try await standIn.open(gate: held)
    _ = try await stage.preparation(folder: "fresh", file: "next", .none)
    await rig.close()
  }
}
