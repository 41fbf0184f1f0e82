internal import NebulaCore

/// Closed while an epoch is prepared and not committed: a flush throws away what was appended behind it, so the next
/// epoch is appended only when the commit has returned.
final class CommitGate: Sendable {
  private let pending = Watched<Set<EpochID>>([])
  func close(for epoch: EpochID) { pending.update { _ = $0.insert(epoch) } }
  func open(after epoch: EpochID) { pending.update { _ = $0.remove(epoch) } }
  func reset() { pending.update { $0 = [] } }
  func wait() async throws { try await pending.wait { $0.isEmpty ? () : nil } }
}
