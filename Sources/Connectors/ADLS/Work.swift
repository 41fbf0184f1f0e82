internal import NebulaCore
internal import Synchronization

/// Tasks of one epoch: the first failure stops the others.
final class Work: Sendable {
  private struct State: Sendable {
    var running = 0
    var tasks: [Int: Task<Void, Never>] = [:]
    /// Ended before they were noted.
    var finished: Set<Int> = []
    var next = 0
    var failure: (any Error)?
    var isCancelled = false
  }
  private let state = Watched(State())

  /// Starts a task; `others` are cancelled with it.
  func start<Value: Sendable>(
    cancelling others: [Task<Value, any Error>] = [], _ body: @escaping @Sendable () async throws -> Void
  ) {
    let number = state.update { state in
      state.next += 1
      state.running += 1
      return state.next
    }
    let task = Task.detached { [self] in
      var failure: (any Error)?
      do {
        try await withTaskCancellationHandler {
          try await body()
        } onCancel: {
          for other in others { other.cancel() }
        }
      } catch { failure = error }
      for other in others { _ = await other.result }
      ended(number, failure)
    }
    let isLate = state.update { state in
      if state.finished.remove(number) == nil { state.tasks[number] = task }
      return state.isCancelled
    }
    if isLate { task.cancel() }
  }

  private func ended(_ number: Int, _ failure: (any Error)?) {
    state.update { state in
      if state.tasks.removeValue(forKey: number) == nil { state.finished.insert(number) }
      state.running -= 1
      if state.failure == nil { state.failure = failure }
    }
  }

  /// Throws the first failure.
  func check() throws {
    if let failure = state.value.failure { throw failure }
  }
  /// Waits for all; throws the first failure, as soon as there is one, or when the waiting task is cancelled.
  func end() async throws {
    try await state.wait { $0.running == 0 || $0.failure != nil ? () : nil }
    try check()
  }
  func cancel() {
    let tasks = state.update { state in
      state.isCancelled = true
      return Array(state.tasks.values)
    }
    for task in tasks { task.cancel() }
  }
  /// Waits until nothing runs, also in a task that was cancelled.
  func stopped() async {
    for task in state.value.tasks.values { await task.value }
  }
}
