import NebulaCore
import Testing

@testable import MongoConnector

/// Answers larger than the budget's share: the smallest budget that can be configured is 8 MiB.
@Suite(.serialized, .timeLimit(.minutes(2))) struct RoomTests {
  func fill(_ standin: Standin, _ ids: Range<Int>) throws {
    let text = String(repeating: "x", count: 5_000_000)
    for id in ids { try standin.insert(#"{"_id": \#(id), "v": "\#(text)"}"#) }
  }

  @Test func anEventLargerThanItsSharePasses() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try fill(standin, 0..<1)
    let small = context(budget: 8 << 20)
    let source = try source(standin, small) { $0.start = .now }
    var stream = try await source.open(from: nil, through: nil)
    _ = try await stream.next()
    for round in 1...3 {
      try standin.update("0", #"{"$set": {"w": \#(round)}}"#)
      let pulled = try await pull(&stream) { !$0.rows.isEmpty }
      #expect(pulled.rows.count == 1 && (pulled.rows.first?.document.utf8.count ?? 0) > 5_000_000)
    }
    await source.close()
  }

  @Test func copyAndStreamShareASmallBudget() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try fill(standin, 0..<6)
    let small = context(budget: 8 << 20)
    let source = try source(standin, small) { $0.batchSize = 1 }
    var stream = try await source.open(from: nil, through: nil)
    _ = try await stream.next()
    for id in 0..<6 { try standin.update("\(id)", #"{"$set": {"w": 1}}"#) }
    var (copied, updated) = (0, 0)
    let start = ContinuousClock.now
    // Batches are let go one by one, as a pipeline does.
    while copied + updated < 12, ContinuousClock.now - start < .seconds(30), let batch = try await stream.next() {
      let operations = batch.changes?.operations ?? []
      copied += operations.count { $0 == .snapshot }
      updated += operations.count { $0 == .update }
    }
    #expect(copied == 6 && updated == 6)
    await source.close()
  }

  @Test func aFailureHoldsNoRoom() {
    let (budget, handoff) = (MemoryBudget(bytes: 2 << 20), Handoff(depth: 1))
    var room = AnswerRoom(budget, handoff)
    _ = room.wait()
    _ = room.keep(300 << 10)
    _ = room.wait()
    #expect(budget.inFlight == 600 << 10)
    room.letGo()
    #expect(budget.inFlight == 0)
    _ = room.wait()
    #expect(budget.inFlight == 600 << 10, "the guess stays")
  }
}
