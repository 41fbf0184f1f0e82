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

  /// The server ends the cursor (175), and the old name has nothing more.
  @Test(arguments: ["", "orders"]) func aRenameDuringTheCopyStops(collection: String) async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(0..<400)
    let source = try source(standin, context(.untilCaughtUp)) { ($0.batchSize, $0.collection) = (20, collection) }
    var stream = try await source.open(from: nil, through: nil)
    // Nothing is taken yet, so the copy waits before its end.
    try standin.faults(#"{"command": "scanGetMore", "code": 175}"#)
    try standin.run(#"{"renameCollection": "shop.orders", "to": "shop.moved"}"#, on: "admin")
    let error = await #expect(throws: NebulaError.self) { try await pull(&stream) }
    #expect(error?.code == "mongo.renamed_while_copied" && error?.isRetryable == false)
    #expect(error?.place?.path == "shop.orders" && error?.remedy.contains("state reset") == true)
    await source.close()
  }

  @Test func aRenameAfterTheCopyIsAnEvent() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(0..<40)
    var stream = try await source(standin) { $0.collection = "" }.open(from: nil, through: nil)
    let copied = try await pull(&stream) { pulled in
      pulled.position.flatMap { try? MongoPosition($0) }?.isCopied == true
    }
    #expect(copied.rows.count == 40)
    try standin.run(#"{"renameCollection": "shop.orders", "to": "shop.moved"}"#, on: "admin")
    let pulled = try await pull(&stream) { !$0.rows.isEmpty }
    #expect(pulled.rows.map(\.operation) == ["rename"])
  }

  // MARK: when a range is whole

  let namespace = Namespace(database: "shop", collection: "orders")
  func position(endedAt end: UInt64?) -> MongoPosition {
    var position = MongoPosition(
      cluster: ClusterIdentity(setName: "rs0", hosts: ["a:1"]), t0: .time(1),
      snapshot: ChangeSequence(clusterTime: 1, index: 0),
      copyStart: ChangeSequence(clusterTime: 1, index: 0), stream: .time(1),
      sequence: SequenceState(clusterTime: 1, next: 1))
    position.ranges[4] = SnapshotRange(namespace: namespace, end: end)
    return position
  }
  func rename(of collection: String, at time: UInt64) -> Draft {
    var draft = Draft(SharedBytes(copying: []))
    for name in ["drop", "rename"] {
      if let operation = Operation.named(name, &draft.changes.otherOperations) {
        draft.changes.operations.append(operation)
      }
      draft.changes.sequences.append(ChangeSequence(clusterTime: time, index: 0))
    }
    let other = draft.namespaces.index(of: Namespace(database: "shop", collection: "dropped"))
    draft.changes.namespaces = [other, draft.namespaces.index(of: .init(database: "shop", collection: collection))]
    return draft
  }

  @Test func aRangeIsWholeOnceTheStreamHasPassedItsEnd() throws {
    var position = position(endedAt: 10)
    #expect(try MongoPosition(position.encoded()) == position)
    position.release(9)
    #expect(!position.isCopied)
    position.release(10)
    #expect(position.isCopied)
    position = self.position(endedAt: nil)
    position.release(.max)
    #expect(!position.isCopied)
  }

  @Test func onlyARenameFromBeforeTheEndCutsARangeShort() {
    #expect(position(endedAt: nil).cutShort(by: rename(of: "orders", at: 10)) == namespace)
    #expect(position(endedAt: 10).cutShort(by: rename(of: "orders", at: 10)) == namespace)
    #expect(position(endedAt: 10).cutShort(by: rename(of: "orders", at: 11)) == nil)
    #expect(position(endedAt: nil).cutShort(by: rename(of: "others", at: 10)) == nil)
    var copied = position(endedAt: 10)
    copied.release(10)
    #expect(copied.cutShort(by: rename(of: "orders", at: 10)) == nil)
  }
}
