import NebulaCore
import Testing

@testable import MongoConnector

/// Collections that change their names.
@Suite(.serialized, .timeLimit(.minutes(2))) struct RenameTests {
  @Test(arguments: ["shop", ""]) func aRenameIntoAListedCollectionIsDelivered(database: String) async throws {
    let standin = try Standin()
    defer { standin.stop() }
    let listed = database.isEmpty ? "shop.orders" : "orders"
    var stream = try await source(standin) {
      ($0.start, $0.database, $0.collection, $0.collections) = (.now, database, "", [listed])
    }.open(from: nil, through: nil)
    _ = try await stream.next()
    try standin.insert(#"{"_id": 1}"#)
    try standin.insert(#"{"_id": 2}"#, into: "fresh")
    try standin.run(#"{"renameCollection": "shop.fresh", "to": "shop.orders", "dropTarget": true}"#, on: "admin")
    try standin.insert(#"{"_id": 3}"#)
    let pulled = try await pull(&stream) { $0.rows.last?.key == #"{"_id":3}"# }
    #expect(pulled.rows.map(\.operation) == ["insert", "drop", "rename", "insert"])
    #expect(pulled.rows.dropFirst(2).first?.namespace == "shop.fresh")
  }
}
