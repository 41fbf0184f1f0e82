internal import NebulaCore

/// Room in the budget for a server's answer, asked for before the answer is: what has been received is held, whether
/// there is room or not (Invariant 6).
///
/// The driver holds an answer twice while it hands it over. How large it becomes is not known before, so the last one
/// is the guess; only a first large one comes without room of its own.
struct AnswerRoom {
  private let budget: MemoryBudget
  private let handoff: Handoff
  private var expected = AnswerRoom.least
  private var reserved: MemoryBudget.Reservation?
  private static let least = 64 << 10

  init(_ budget: MemoryBudget, _ handoff: Handoff) {
    self.budget = budget
    self.handoff = handoff
  }

  /// Waits for room for an answer like the last one; false when the readers are to end.
  mutating func wait() -> Bool {
    reserved = nil
    reserved = reserve(2 * expected)
    return reserved != nil
  }

  /// The answer came, and `bytes` are needed to keep it; nil when the readers are to end.
  mutating func keep(_ bytes: Int) -> MemoryBudget.Reservation? {
    expected = max(bytes, Self.least)
    guard let known = reserved, known.bytes >= bytes else {
      // Given back first: who holds room while waiting for more could wait for itself.
      reserved = nil
      return reserve(bytes)
    }
    reserved = nil
    known.shrink(to: bytes)
    return known
  }

  /// No answer came: nobody is to wait for room that is not needed now.
  mutating func letGo() { reserved = nil }

  /// The answer was empty: the room is free again.
  mutating func keepNothing() {
    reserved = nil
    expected = Self.least
  }

  private func reserve(_ bytes: Int) -> MemoryBudget.Reservation? {
    budget.reserveBlocking(
      bytes, for: .input, nap: { handoff.nap(.milliseconds(5)) }, isStopped: { handoff.isStopped })
  }
}
