import Foundation
import NebulaCore
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

/// What happens when answers are lost, statements come late, sessions die and writers wake up: each record once.
@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct FaultTests {
  /// Each fault hits the commit of the second of two epochs.
  @Test(arguments: [
    #"{"sql":"^COMMIT","action":"apply_close","times":9}"#, #"{"sql":"^COMMIT","action":"close","times":9}"#,
    #"{"sql":"^COMMIT","action":"late","delay_ms":400,"times":9}"#, #"{"sql":"^COMMIT","action":"kill"}"#,
    #"{"sql":"^COPY","action":"kill"}"#, #"{"sql":"^COPY","action":"apply_close"}"#,
    #"{"sql":"^COPY","action":"truncate","keep":20}"#,
    #"{"sql":"^COPY","action":"fail","code":"000603","sqlstate":"XX000","message":"internal"}"#,
    #"{"sql":"NEBULA_LEDGER.*FROM","action":"kill"}"#, #"{"sql":"^UPDATE","action":"apply_status","status":503}"#,
    #"{"sql":"^INSERT","action":"late","delay_ms":300,"times":9}"#, #"{"sql":"^COPY","action":"expire"}"#,
    #"{"sql":"^BEGIN","action":"apply_close","times":9}"#, #"{"sql":"^COMMIT","action":"truncate","keep":5,"times":9}"#,
  ])
  func commitIsOnceUnder(_ fault: String) async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await rig.open()
    let first = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(20)])
    let second = try await rig.prepare(.at(1, 2), [ChangeBatch.orders(30, from: 20)])
    _ = try await rig.commit(first)
    try await standIn.faults(try JSONValue(parsing: fault))
    let receipt = try await rig.commitWithRecovery(second)
    #expect(receipt.rows == 30)
    #expect(try await standIn.faultsDone() > 0)
    let ids = try await standIn.rows("RAW.SHOP.ORDERS").compactMap { $0["EVENT_ID"]?.string }
    #expect(ids.count == 50 && Set(ids).count == 50)
    #expect(try await standIn.rows("RAW.SHOP.NEBULA_LEDGER").count == 2)
    await rig.close()
  }

  /// The server ends our transaction between two statements, and says nothing: what follows must not be committed.
  @Test(arguments: ["^INSERT", "^COMMIT", "^COPY"], ["error", "silent"])
  func aTransactionEndedFromOutsideIsNoticed(_ before: String, _ mode: String) async throws {
    let standIn = try StandIn(["--set", "aborted_transaction=\(mode)"])
    let rig = try Rig(standIn)
    try await rig.open()
    let prepared = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(20)])
    try await standIn.faults(["sql": .string(before), "action": "slow_before", "delay_ms": 700])
    async let receipt = rig.commitWithRecovery(prepared)
    var ended = 0
    for _ in 0..<10_000 where ended == 0 {
      guard try await standIn.faultsDone() > 0 else { continue }
      for transaction in try await standIn.control("transactions", method: "GET")["transactions"]?.array ?? [] {
        try await standIn.control("abort-transaction", ["id": transaction["id"] ?? .null])
        ended += 1
      }
    }
    #expect(ended > 0)
    #expect(try await receipt.rows == 20)
    let ids = try await standIn.rows("RAW.SHOP.ORDERS").compactMap { $0["EVENT_ID"]?.string }
    #expect(ids.count == 20 && Set(ids).count == 20)
    #expect(try await standIn.rows("RAW.SHOP.NEBULA_LEDGER").count == 1)
    await rig.close()
  }

  @Test func aZombieCannotCommitAfterATakeover() async throws {
    let standIn = try StandIn()
    let old = try Rig(standIn)
    try await old.open(1)
    let stale = try await old.prepare(.at(1, 1), [ChangeBatch.orders(10)])
    let new = try Rig(standIn)
    try await new.open(2)
    // The newer writer commits the older generation's intent; the older one finds it committed, or is refused.
    #expect(try await new.destination.recover(stale) == .ready)
    let receipt = try await new.commit(stale)
    #expect(receipt.rows == 10)
    let error = await #expect(throws: NebulaError.self) { try await old.commit(stale) }
    #expect(error?.code == .fenced)
    let late = try await old.prepare(.at(1, 2), [ChangeBatch.orders(10, from: 10)])
    let refused = await #expect(throws: NebulaError.self) { try await old.commit(late) }
    #expect(refused?.code == .fenced)
    let again = await #expect(throws: NebulaError.self) { try await old.open(1) }
    #expect(again?.code == .behindDestination && again?.remedy.contains("state reset") == true)
    #expect(try await standIn.rows("RAW.SHOP.ORDERS").count == 10)
    await old.close()
    await new.close()
  }

  @Test func twoOfOneGenerationAreToldApart() async throws {
    let standIn = try StandIn()
    let one = try Rig(standIn)
    let other = try Rig(standIn)
    try await one.open(3)
    try await one.open(3)
    let error = await #expect(throws: NebulaError.self) { try await other.open(3) }
    #expect(error?.code == .behindDestination)
    await one.close()
    await other.close()
  }

  /// Every start has a new generation: the epochs tell that a state is an older copy.
  @Test func anOlderStateIsRefusedHoweverOftenItStarts() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    func open(_ generation: UInt64, knowing last: EpochID) async throws {
      try await rig.destination.open(Lease(pipeline: "orders", generation: generation, lastEpoch: last))
    }
    try await open(1, knowing: EpochID(generation: 0, sequence: 0))
    for epoch in 1...3 {
      _ = try await rig.commit(try await rig.prepare(.at(1, UInt64(epoch)), [ChangeBatch.orders(2)]))
    }
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

  /// The writer dies between COPY and COMMIT; its transaction keeps the lock until the next one ends it.
  @Test func aDeadWritersTransactionIsEnded() async throws {
    let standIn = try StandIn()
    let dead = try Rig(standIn)
    try await dead.open(1)
    let prepared = try await dead.prepare(.at(1, 1), [ChangeBatch.orders(10)])
    try await standIn.faults(["sql": "^INSERT", "action": "stall", "delay_ms": 60000])
    let commit = Task { try await dead.commit(prepared) }
    while try await standIn.faultsDone() == 0 {}
    try await standIn.control("kill-sessions")
    let new = try Rig(standIn)
    try await new.open(2)
    #expect(try await new.destination.recover(prepared) == .ready)
    #expect(try await new.commit(prepared).rows == 10)
    commit.cancel()
    _ = await commit.result
    #expect(try await standIn.rows("RAW.SHOP.ORDERS").count == 10)
    await new.close()
    await dead.close()
  }

  @Test func missingFilesAreGoneAndNothingStays() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["micro_batch_size": "5"])
    try await rig.open()
    let prepared = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(12)])
    #expect(try await standIn.stagedFiles().count == 3)
    let name = try #require(try await standIn.stagedFiles().first)
    let thief = try Rig(standIn, pipeline: "thief")
    try await thief.destination.removeForTest(name)
    #expect(try await rig.destination.recover(prepared) == .gone)
    #expect(try await standIn.stagedFiles().isEmpty)
    await #expect(throws: NebulaError.self) { try await rig.commit(prepared) }
    await rig.close()
    await thief.close()
  }

  @Test func abortRemovesAndSweepRemovesWhatADeadRunLeft() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await rig.open(1)
    let prepared = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(12)])
    try await rig.destination.abort(.at(1, 1), prepared)
    #expect(try await standIn.stagedFiles().isEmpty)
    _ = try await rig.prepare(.at(1, 2), [ChangeBatch.orders(12)])
    try await rig.destination.begin(.at(1, 3), pin: nil)
    try await rig.destination.write(ChangeBatch.orders(5), to: .at(1, 3))
    try await rig.destination.abort(.at(1, 3), nil)
    #expect(try await standIn.stagedFiles().count == 1)
    let next = try Rig(standIn)
    try await next.open(2)
    try await next.destination.begin(.at(2, 1), pin: nil)
    #expect(try await standIn.stagedFiles().isEmpty)
    await rig.close()
    await next.close()
  }

  @Test func aStrangersLockIsAClearError() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["lock_timeout": "1s"])
    try await rig.open(1)
    let prepared = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(3)])
    let stranger = try Rig(standIn, pipeline: "orders", ["lock_timeout": "1s"])
    let (held, isHeld) = AsyncStream.makeStream(of: Void.self)
    let (release, mayEnd) = AsyncStream.makeStream(of: Void.self)
    let holder = Task { try await stranger.destination.holdFenceForTest(isHeld, until: release) }
    for await _ in held { break }
    let error = await #expect(throws: NebulaError.self) { try await rig.commit(prepared) }
    #expect(error?.code == .lockTimeout && error?.remedy.contains("SYSTEM$ABORT_TRANSACTION") == true)
    mayEnd.finish()
    _ = await holder.result
    await stranger.close()
    await rig.close()
  }
}

extension SnowflakeDestination {
  func removeForTest(_ path: String) async throws {
    let parts = path.split(separator: "/")
    try await stage.remove(parts.dropLast().joined(separator: "/"), prefix: String(parts.last ?? ""))
  }

  /// Takes the fence's lock in a transaction that has nothing to do with this program.
  func holdFenceForTest(_ isHeld: AsyncStream<Void>.Continuation, until release: AsyncStream<Void>) async throws {
    let fence = fence
    try await pool.with { session in
      try await session.begin("SOMEBODY_ELSE")
      _ = try await session.query("UPDATE \(fence.table.sql) SET \"GENERATION\" = \"GENERATION\"", trying: "test")
      isHeld.yield()
      for await _ in release {}
    }
  }
}
