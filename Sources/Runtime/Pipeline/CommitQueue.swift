internal import NebulaCore

/// Hands intents from the writer to the committer, in order. At most two epochs are between intent and receipt: one
/// commits while the next is already stored, and a third is being written.
struct CommitQueue: Sendable {
  private struct State: Sendable {
    var waiting: [Intent] = []
    var isCommitting = false
    var isClosed = false
    var pending: Int { waiting.count + (isCommitting ? 1 : 0) }
  }
  private let state = Watched(State())
  private static let capacity = 2

  /// Waits until another intent may be stored.
  func waitForRoom() async throws {
    try await state.wait { $0.pending < Self.capacity ? () : nil }
  }

  /// True when no intent is without its receipt.
  var isEmpty: Bool { state.value.pending == 0 }

  /// Adds a stored intent.
  func push(_ intent: Intent) { state.update { $0.waiting.append(intent) } }

  /// The next intent to commit; nil once the queue is closed and empty.
  func next() async throws -> Intent? {
    try await state.wait { state -> Intent?? in
      if !state.waiting.isEmpty {
        state.isCommitting = true
        return state.waiting.removeFirst()
      }
      return state.isClosed ? .some(nil) : nil
    }
  }

  /// The intent that `next` gave has its receipt.
  func settled() { state.update { $0.isCommitting = false } }

  /// No more intents will come.
  func close() { state.update { $0.isClosed = true } }
}
