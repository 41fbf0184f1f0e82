import NebulaCore
import Testing

@testable import MongoConnector

/// What batches without records say of the server.
@Suite(.serialized, .timeLimit(.minutes(2))) struct AnswerTests {
  /// The server is up and the change stream hangs: each second brings a batch, none of which proves anything.
  @Test func whatTimeBringsIsNoAnswer() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    let before = try await read(source(standin) { $0.start = .now }) { $0.position != nil }
    try standin.faults(#"{"command": "changeStream", "stall": true}"#)
    let source = try source(standin)
    var stream = try await source.open(from: before.position, through: nil)
    for _ in 0..<3 {
      let batch = try #require(try await stream.next())
      #expect(batch.read == 0 && !batch.isAnswer)
    }
    try standin.run(#"{"sandboxStall": false}"#)
    try standin.insert(0..<1, into: "others")
    // Nobody's record: only the position moves, by the server's word.
    var batch = try #require(try await stream.next())
    while !batch.isAnswer { batch = try #require(try await stream.next()) }
    #expect(batch.read == 0 && batch.position != before.position)
    await source.close()
  }
}
