import NebulaCore
import NebulaHTTP
import Synchronization
import Testing

@testable import SnowflakeConnector

/// Answers that come in parts, late, or not at all.
@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct AnswerTests {
  /// Counts requests and does nothing to them.
  private static func counter(_ path: JSONValue, _ method: JSONValue = "POST") -> JSONValue {
    ["path": path, "method": method, "action": "slow", "nth": 1_000_000]
  }

  private func seen(_ standIn: StandIn) async throws -> [Int64] {
    try await standIn.control("faults", method: "GET")["faults"]?.array?.map { $0["seen"]?.integer ?? -1 } ?? []
  }

  /// Asks until it is so; each question is a request, so nothing spins.
  private func until(_ condition: () async throws -> Bool) async throws {
    for _ in 0..<2000 { if try await condition() { return } }
    Issue.record("it never came to that")
  }

  @Test func aLongStatementIsAskedForUntilItIsDone() async throws {
    let standIn = try StandIn(["--set", "sync_seconds=0.02"])
    let rig = try Rig(standIn)
    try await rig.open()
    let prepared = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(10)])
    try await standIn.faults(
      ["sql": "^COPY", "action": "slow_execution", "delay_ms": 1500],
      Self.counter("^/queries/[^/]+/result", "GET"), ["sql": "^COPY", "action": "slow", "nth": 1_000_000])
    #expect(try await rig.commit(prepared).rows == 10)
    let seen = try await seen(standIn)
    // More than once: the first question is answered by 333334, "still running". And COPY itself is sent once.
    #expect(seen[0] == 1 && seen[1] >= 2)
    await rig.close()
  }

  @Test(arguments: [1, 3, 1000])
  func resultsInChunksAreReadWhole(_ rows: Int) async throws {
    let standIn = try StandIn(["--set", "chunk_rows=\(rows)", "--set", "rows_per_chunk=\(2 * rows)"])
    let rig = try Rig(standIn, ["micro_batch_size": "10"])
    try await rig.open()
    let prepared = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(100)])
    try await standIn.faults(
      Self.counter("^/sandbox/chunk/", "GET"),
      ["path": "^/sandbox/chunk/", "action": "status", "status": 503, "times": 1])
    // LIST and COPY have a row for each of the ten files: all of them count.
    #expect(try await rig.destination.recover(prepared) == .ready)
    #expect(try await rig.commit(prepared).rows == 100)
    let chunks = try await seen(standIn)[0]
    #expect(rows == 1000 ? chunks == 0 : chunks >= 4)
    #expect(try await standIn.rows("RAW.SHOP.ORDERS").count == 100)
    await rig.close()
  }

  @Test func aResultWithFewerRowsThanAnnouncedIsRefused() async throws {
    let standIn = try StandIn()
    let http = HTTPClient()
    defer { http.shutdown() }
    let reader = ResultReader(http: http, clock: .quick)
    func answer(_ returned: JSONValue) -> JSONValue {
      let data: JSONValue = [
        "rowtype": [["name": "A"]], "rowset": [["1"], ["2"]], "total": 3, "returned": returned, "queryId": "q",
      ]
      return ["success": true, "data": data]
    }
    func read(_ returned: JSONValue) async throws -> QueryResult {
      try await reader.read(
        Envelope(HTTPResponse(status: 200, body: answer(returned).bytes)))
    }
    #expect(try await read(2).rows == [["1"], ["2"]])
    let error = await #expect(throws: NebulaError.self) { _ = try await read(3) }
    #expect(error?.code == .badAnswer && error?.native == "query q" && error?.isRetryable == true)
    _ = standIn
  }

  @Test func aCancelledStatementIsAbortedOnce() async throws {
    let standIn = try StandIn(["--set", "sync_seconds=0.02"])
    let rig = try Rig(standIn)
    try await rig.open()
    try await standIn.faults(Self.counter("/abort-request"))
    let pool = await rig.destination.pool
    let waiting = Task { try await pool.with { session in try await session.run("SELECT SYSTEM$WAIT(30)") } }
    func fate() async throws -> String? {
      try await standIn.control("queries?last=50", method: "GET")["queries"]?.array?
        .first { $0["sql"]?.string == "SELECT SYSTEM$WAIT(30)" }?["status"]?.string
    }
    try await until { try await fate() == "RUNNING" }
    waiting.cancel()
    await #expect(throws: (any Error).self) { _ = try await waiting.value }
    try await until { try await fate() == "FAILED_WITH_ERROR" }
    #expect(try await seen(standIn) == [1])
    await rig.close()
  }

  @Test func idleSessionsAreKeptAliveByAHeartbeat() async throws {
    let standIn = try StandIn(["--set", "master_validity_seconds=1200"])
    let beats = Pauses()
    var clock = Timekeeper.quick
    clock = Timekeeper(monotonic: clock.monotonic, wall: clock.wall, sleep: { try await beats.wait($0) })
    let rig = try Rig(standIn, clock: clock)
    try await rig.open()
    try await standIn.faults(Self.counter("^/session/heartbeat"))
    beats.letOnePass()
    try await until { try await seen(standIn)[0] > 0 }
    // The first pause was chosen before anybody was logged in; the next is a quarter of what the server allows.
    try await until {
      _ = try await seen(standIn)
      return beats.asked.count > 1
    }
    #expect(beats.asked == [.seconds(3600), .seconds(300)])
    beats.letAllPass()
    await rig.close()
  }
}

/// Pauses that end when the test says so: those of a minute and more, all others at once.
private final class Pauses: Sendable {
  private struct State {
    var asked: [Duration] = []
    var passes = 0
    var waiting: [CheckedContinuation<Void, Never>] = []
    var isOpen = false
  }
  private let state = Mutex(State())
  var asked: [Duration] { state.withLock { $0.asked } }

  func wait(_ duration: Duration) async throws {
    guard duration >= .seconds(60) else { return await Task.yield() }
    await withCheckedContinuation { continuation in
      let mayPass = state.withLock { state in
        state.asked.append(duration)
        if state.isOpen { return true }
        if state.passes > 0 {
          state.passes -= 1
          return true
        }
        state.waiting.append(continuation)
        return false
      }
      if mayPass { continuation.resume() }
    }
    try Task.checkCancellation()
  }

  func letOnePass() {
    let first = state.withLock { state -> CheckedContinuation<Void, Never>? in
      if state.waiting.isEmpty {
        state.passes += 1
        return nil
      }
      return state.waiting.removeFirst()
    }
    first?.resume()
  }

  func letAllPass() {
    let all = state.withLock { state in
      state.isOpen = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for one in all { one.resume() }
  }
}
