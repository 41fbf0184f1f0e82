import NebulaCore
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct CommitTests {
  @Test func documentsArriveOnceAndWhole() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await rig.open()
    let prepared = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(500), ChangeBatch.orders(500, from: 500)])
    #expect(prepared.counts == RecordCounts(committed: 1000))
    let receipt = try await rig.commit(prepared)
    #expect(receipt.rows == 1000)
    let rows = try await standIn.rows("RAW.SHOP.ORDERS", order: "SEQUENCE")
    #expect(rows.count == 1000)
    #expect(rows[7]["EVENT_ID"]?.string == "827")
    #expect(rows[7]["NAMESPACE"]?.string == "shop.orders")
    #expect(rows[7]["OPERATION"]?.string == "insert")
    #expect(rows[7]["SEQUENCE"]?.string == "650000000000000100000007")
    let document = try JSONValue(parsing: rows[7]["DOCUMENT"]?.string ?? "")
    #expect(document["big"]?.integer == 9_007_199_254_741_000)
    print(rows[7])
    #expect(try await rig.destination.recover(prepared) == .committed(receipt))
    // Again changes nothing.
    #expect(try await rig.commit(prepared) == receipt)
    try await rig.destination.settled(receipt, prepared)
    #expect(try await standIn.stagedFiles().isEmpty)
    await rig.close()
  }
}
