import NebulaCore
import Testing

@testable import MongoConnector

/// Where a run that ends by itself ends.
@Suite(.serialized, .timeLimit(.minutes(2))) struct EndTests {
  /// One answer holds a split event, one before the end and one after it: two runs, of which the first does not end it.
  @Test func whatLiesBeforeTheEndIsDeliveredWithIt() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.run(#"{"sandboxSet": {"splitBytes": 3000}}"#)
    try standin.insert(#"{"_id": 1, "v": "\#(String(repeating: "x", count: 2500))"}"#)
    let before = try await read(source(standin) { $0.start = .now }) { $0.position != nil }
    try standin.update("1", #"{"$set": {"v": "\#(String(repeating: "y", count: 2600))"}}"#)
    try standin.insert(#"{"_id": 2}"#)
    // The stream is held up where it opens, after the end was fixed; only commands of the sandbox get through.
    try standin.faults(#"{"command": "changeStream", "stall": true}"#)
    let source = try source(standin, context(.untilCaughtUp))
    var stream = try await source.open(from: before.position, through: nil)
    while try standin.hits == 0 { await Task.yield() }
    try standin.run(#"{"sandboxGroup": "shop.orders", "documents": [{"_id": 3}]}"#)
    try standin.run(#"{"sandboxStall": false}"#)
    let pulled = try await pull(&stream)
    await source.close()
    #expect(pulled.isOver)
    #expect(pulled.rows.prefix(2).map(\.key) == [1, 2].map { #"{"_id":\#($0)}"# })
  }
}
