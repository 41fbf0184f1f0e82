import Glibc
import NebulaCore
import Testing

@Suite struct MemoryBudgetTests {
  @Test func sharesAreApartAndBounded() throws {
    let budget = MemoryBudget(bytes: 100)
    let input = try #require(budget.tryReserve(50, for: .input))
    #expect(budget.tryReserve(1, for: .input) == nil)
    let output = try #require(budget.tryReserve(50, for: .output))
    #expect(budget.inFlight == 100)
    input.release()
    input.release()
    #expect(budget.inFlight == 50, "giving back twice counts once")
    output.release()
    #expect(budget.inFlight == 0)
  }

  @Test func shrinkingGivesBackTheRestOnce() throws {
    let budget = MemoryBudget(bytes: 100)
    let held = try #require(budget.tryReserve(40, for: .input))
    held.shrink(to: 15)
    #expect(budget.inFlight == 15 && held.bytes == 15)
    held.shrink(to: 30)
    #expect(budget.inFlight == 15, "what was given back does not come again")
    #expect(budget.tryReserve(35, for: .input) != nil)
    held.release()
    held.release()
    #expect(budget.inFlight == 0)
  }

  @Test func aHugeRequestPassesAlone() throws {
    let budget = MemoryBudget(bytes: 100)
    let huge = try #require(budget.tryReserve(1000, for: .input))
    #expect(budget.tryReserve(1, for: .input) == nil)
    huge.release()
    #expect(budget.tryReserve(1, for: .input) != nil)
  }

  @Test func waitersAreServedInOrder() async throws {
    let budget = MemoryBudget(bytes: 20)
    let held = try #require(budget.tryReserve(10, for: .input))
    async let large = budget.reserve(10, for: .input)
    while budget.waiting(for: .input) < 1 { await Task.yield() }
    // A small one that would fit later must not overtake the large one for ever.
    async let small = budget.reserve(1, for: .input)
    while budget.waiting(for: .input) < 2 { await Task.yield() }
    held.release()
    let first = try await large
    #expect(budget.inFlight == 10)
    first.release()
    _ = try await small
  }

  @Test func aCancelledWaiterLeavesAndLetsOthersPass() async throws {
    let budget = MemoryBudget(bytes: 20)
    let held = try #require(budget.tryReserve(6, for: .input))
    let blocked = Task { try await budget.reserve(8, for: .input) }
    while budget.waiting(for: .input) < 1 { await Task.yield() }
    let behind = Task { try await budget.reserve(4, for: .input).bytes }
    while budget.waiting(for: .input) < 2 { await Task.yield() }
    blocked.cancel()
    await #expect(throws: CancellationError.self) { try await blocked.value }
    #expect(try await behind.value == 4)
    held.release()
  }

  @Test func aBlockedThreadKeepsItsTurn() async throws {
    let budget = MemoryBudget(bytes: 20)
    let held = try #require(budget.tryReserve(6, for: .input))
    let blocked = Task { budget.reserveBlocking(8, for: .input, nap: { usleep(1000) }, isStopped: { false })?.bytes }
    while budget.waiting(for: .input) < 1 { await Task.yield() }
    // It would fit, but the blocked one asked before.
    #expect(budget.tryReserve(4, for: .input) == nil)
    held.release()
    #expect(await blocked.value == 8)
    #expect(budget.inFlight == 0)
  }

  @Test func aBlockedThreadThatIsStoppedLeavesTheQueue() throws {
    let budget = MemoryBudget(bytes: 20)
    let held = try #require(budget.tryReserve(6, for: .input))
    var naps = 0
    #expect(budget.reserveBlocking(8, for: .input, nap: { naps += 1 }, isStopped: { naps == 2 }) == nil)
    #expect(budget.waiting(for: .input) == 0 && budget.inFlight == 6)
    held.release()
  }

  @Test func lettingGoGivesBack() {
    let budget = MemoryBudget(bytes: 20)
    do {
      let bytes: [UInt8] = [1, 2, 3]
      let reservation = budget.tryReserve(3, for: .input)
      let shared = bytes.withUnsafeBytes { SharedBytes(copying: $0, reservation: reservation) }
      #expect(shared.count == 3 && budget.inFlight == 3)
    }
    #expect(budget.inFlight == 0)
  }
}
