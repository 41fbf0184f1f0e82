import NebulaCore

/// What follows a commit: receipt, dead letters, acknowledgement. As designed each step is awaited; without
/// `commitsAfterReceipt` the steps only keep their order, and the next commit starts meanwhile.
final class Receipts: @unchecked Sendable {  // on the simulator's one thread only
  private var last: Task<Void, any Error>?

  func follow(_ world: ModelWorld, _ step: @escaping @Sendable () async throws -> Void) async throws {
    if world.rules.commitsAfterReceipt { return try await step() }
    last = Task(executorPreference: world.sim.executor) { [last] in
      try await last?.value
      while true {
        do { return try await step() } catch let error as NebulaError where error.isRetryable {}
      }
    }
  }

  /// Waits until every step is done; throws what stopped them.
  func drain() async throws {
    let last = last
    self.last = nil
    try await last?.value
  }
}
