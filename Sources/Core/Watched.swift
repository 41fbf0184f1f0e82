internal import Synchronization

/// A value that tasks can wait on: whoever changes it wakes all who wait, and each looks again.
///
/// For few waiters (a writer, a committer, a watchdog): simpler to be sure of than a queue for each reason to wait.
package final class Watched<Value: Sendable>: Sendable {
  private struct State {
    var value: Value
    var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    var nextWaiter: UInt64 = 0
  }
  private let state: Mutex<State>

  package init(_ value: Value) { state = Mutex(State(value: value)) }

  package var value: Value { state.withLock { $0.value } }

  /// Changes the value and wakes everybody.
  @discardableResult
  package func update<Result>(_ change: (inout Value) -> sending Result) -> sending Result {
    let (result, waiters) = state.withLock { state in
      let result = change(&state.value)
      return (result, take(&state))
    }
    for waiter in waiters { waiter.resume() }
    return result
  }

  /// Waits until `take` gives something; it may change the value (and then wakes the others).
  /// Throws `CancellationError` when the task is cancelled.
  package func wait<Result: Sendable>(until take: @Sendable (inout Value) -> Result?) async throws -> Result {
    while true {
      try Task.checkCancellation()
      if let result = attempt(take) { return result }
      await sleep(unless: take)
    }
  }

  private func attempt<Result: Sendable>(_ attempt: (inout Value) -> Result?) -> Result? {
    let (result, waiters) = state.withLock { state -> (Result?, [CheckedContinuation<Void, Never>]) in
      guard let result = attempt(&state.value) else { return (nil, []) }
      return (result, take(&state))
    }
    for waiter in waiters { waiter.resume() }
    return result
  }

  private func take(_ state: inout State) -> [CheckedContinuation<Void, Never>] {
    defer { state.waiters = [:] }
    return Array(state.waiters.values)
  }

  /// Sleeps until the next change. The condition is looked at again under the lock, on a copy, so that a change
  /// between the look and the sleep is not missed.
  private func sleep<Result: Sendable>(unless condition: @Sendable (inout Value) -> Result?) async {
    let id = state.withLock { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isReady = state.withLock { state -> Bool in
          var copy = state.value
          if Task.isCancelled || condition(&copy) != nil { return true }
          state.waiters[id] = continuation
          return false
        }
        if isReady { continuation.resume() }
      }
    } onCancel: {
      let waiter = state.withLock { $0.waiters.removeValue(forKey: id) }
      waiter?.resume()
    }
  }
}
