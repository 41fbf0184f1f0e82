import NebulaCore
import Testing

@testable import MongoConnector

@Suite struct AnswerRoomTests {
  @Test func roomIsTakenBeforeTheAnswerAndShrinksToIt() {
    let (budget, handoff) = (MemoryBudget(bytes: 2 << 20), Handoff(depth: 1))
    var room = AnswerRoom(budget, handoff)
    let first = room.wait()
    #expect(first && budget.inFlight == 128 << 10, "twice what is guessed at least")
    let small = room.keep(40 << 10)
    #expect(small?.bytes == 40 << 10 && budget.inFlight == 40 << 10)
    let second = room.wait()
    let large = room.keep(200 << 10)
    #expect(second && large?.bytes == 200 << 10 && budget.inFlight == 240 << 10)
    small?.release()
    large?.release()
    let third = room.wait()
    #expect(third && budget.inFlight == 400 << 10, "the next one is expected to be like the last")
    room.keepNothing()
    #expect(budget.inFlight == 0)
    handoff.close()
    let afterEnd = room.wait()
    #expect(!afterEnd)
  }
}
