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
