import Foundation
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
    let columns: Set = [
      "DOCUMENT", "DOCUMENT_BEFORE", "UPDATE_DESCRIPTION", "DOCUMENT_KEY", "OPERATION", "NAMESPACE", "EVENT_TIME",
      "SEQUENCE", "EVENT_ID", "FILE", "FILE_ROW",
    ]
    for (number, row) in rows.enumerated() {
      #expect(Set(row.object?.map(\.name) ?? []) == columns)
      #expect(row["EVENT_ID"]?.string == "82\(number)" && row["NAMESPACE"]?.string == "shop.orders")
      #expect(row["OPERATION"]?.string == "insert" && row["EVENT_TIME"]?.string == "2026-11-21 00:13:21.976")
      #expect(row["SEQUENCE"]?.string == "6500000000000001" + String(format: "%08x", number))
      #expect(row["DOCUMENT_BEFORE"] == .null && row["UPDATE_DESCRIPTION"] == .null)
      #expect(try JSONValue(parsing: row["DOCUMENT_KEY"]?.string ?? "") == ["_id": .integer(Int64(number))])
      let document: JSONValue = [
        "_id": .integer(Int64(number)), "name": .string("customer \(number) \"quoted\" \u{1F600}"),
        "big": .integer(9_007_199_254_740_993 + Int64(number)),
        "inner": ["price": .decimal("19.99"), "text": "line\nbreak \\ back"],
      ]
      #expect(try JSONValue(parsing: row["DOCUMENT"]?.string ?? "") == document)
      #expect(row["FILE"]?.string?.hasPrefix("nebula/orders/ORDERS/0000000001-0000000001-") == true)
    }
    // File and row in it name each row once.
    #expect(Set(rows.map { "\($0["FILE"]?.string ?? "") \($0["FILE_ROW"]?.integer ?? 0)" }).count == 1000)
    #expect(try await rig.destination.recover(prepared) == .committed(receipt))
    // Again changes nothing.
    #expect(try await rig.commit(prepared) == receipt)
    try await rig.destination.settled(receipt, prepared)
    #expect(try await standIn.stagedFiles().isEmpty)
    await rig.close()
  }

  @Test func crashPointsComeInTheirOrder() async throws {
    let standIn = try StandIn()
    let passed = Lines()
    let rig = try Rig(standIn, crash: CrashPoints { passed.add($0) }, ["micro_batch_size": "5"])
    try await rig.open()
    _ = try await rig.commit(try await rig.prepare(.at(1, 1), [ChangeBatch.orders(10)]))
    #expect(
      passed.all == [
        "after-upload", "after-upload", "before-commit", "before-commit-statement", "after-commit-statement",
      ])
    #expect(rig.metrics["snowflake.files_uploaded"] == 2 && rig.metrics["snowflake.copies"] == 1)
    #expect(rig.metrics["snowflake.bytes_uploaded"] > 0)
    await rig.close()
  }

  @Test func guaranteesSayWhy() throws {
    let standIn = try StandIn()
    let destination = try Rig(standIn).destination
    func promise(_ resume: SourceTraits.Resume) throws -> Guarantee {
      try destination.guarantee(from: SourceTraits(resume: resume))
    }
    guard case .exactlyOnce = try promise(.exact), case .atLeastOnce = try promise(.inclusive),
      case .none = try promise(.none)
    else {
      Issue.record("another guarantee")
      return
    }
    #expect(
      destination.traits.hasFence && destination.traits.phases == .two && destination.traits.epoch.age == .seconds(5))
  }
}
