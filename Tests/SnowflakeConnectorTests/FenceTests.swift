import NebulaCore
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

/// Whose transactions and whose rows they are.
@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct FenceTests {
  /// One user, one name of a pipeline, two schemas: the one that starts leaves the other's transaction alone.
  @Test func aPipelineOfTheSameNameElsewhereIsLeftAlone() async throws {
    let standIn = try StandIn(["--database", "RAW.DEV"])
    let production = try Rig(standIn)
    try await production.open(1)
    let prepared = try await production.prepare(.at(1, 1), [ChangeBatch.orders(10)])
    try await standIn.faults(["sql": "^INSERT", "action": "slow_before", "gate": "insert"])
    let commit = Task { try await production.commit(prepared) }
    try await standIn.until { try await standIn.faultsDone() > 0 }
    let development = try Rig(standIn, ["schema": "DEV"])
    try await development.open(9)
    try await standIn.open(gate: "insert")
    #expect(try await commit.value.rows == 10)
    await production.close()
    await development.close()
  }

  @Test func aFenceOfTwoRowsIsNotALaterWriter() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await rig.open(1)
    let fence = await rig.destination.fence.table.sql
    try await rig.destination.pool.with { session in
      try await session.begin("TEST")
      try await session.succeed("INSERT INTO \(fence) SELECT * FROM \(fence)", trying: "test")
      try await session.commit()
    }
    let error = await #expect(throws: NebulaError.self) { try await rig.open(2) }
    #expect(error?.code == .badAnswer && error?.message.contains("2 rows instead of one") == true)
    await rig.close()
  }
}
