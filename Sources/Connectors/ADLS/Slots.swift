internal import NebulaCore
internal import Synchronization

/// So many at once; whoever finds none free waits, in the order of asking.
final class Slots: Sendable {
  private let queue: Waiting<Int>
  init(_ count: Int) { queue = Waiting(count) }
  /// Waits for a slot; throws `CancellationError` when the task is cancelled meanwhile.
  func wait() async throws {
    try await queue.wait { free in
      guard free > 0 else { return false }
      free -= 1
      return true
    }
  }
  /// Gives a slot back.
  func signal() { queue.update { $0 += 1 } }
}

/// Closed while an epoch is prepared and not committed: a flush throws away what was appended behind it, so the next
/// epoch is appended only when the commit has returned.
final class CommitGate: Sendable {
  private let queue = Waiting<Set<EpochID>>([])
  func close(for epoch: EpochID) { queue.update { $0.insert(epoch) } }
  func open(after epoch: EpochID) { queue.update { $0.remove(epoch) } }
  func reset() { queue.update { $0 = [] } }
  func wait() async throws { try await queue.wait { $0.isEmpty } }
}

/// A value behind a lock, and tasks that wait until it allows them to go on.
final class Waiting<Value: Sendable>: Sendable {
  private struct Waiter: Sendable {
    let id: UInt64
    let enter: @Sendable (inout Value) -> Bool
    let continuation: CheckedContinuation<Bool, Never>
  }
  private struct State {
    var value: Value
    var waiters: [Waiter] = []
    var nextID: UInt64 = 0
    var cancelled: Set<UInt64> = []
  }
  private let state: Mutex<State>

  init(_ value: Value) { state = Mutex(State(value: value)) }
  /// The value now.
  var value: Value { state.withLock { $0.value } }

  /// Waits until `enter` says true; it may change the value as it does. In the order of asking.
  func wait(_ enter: @escaping @Sendable (inout Value) -> Bool) async throws {
    let id = state.withLock { state in
      state.nextID += 1
      return state.nextID
    }
    let isGranted = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let answer = state.withLock { state -> Bool? in
          if state.cancelled.remove(id) != nil { return false }
          if state.waiters.isEmpty, enter(&state.value) { return true }
          state.waiters.append(Waiter(id: id, enter: enter, continuation: continuation))
          return nil
        }
        if let answer { continuation.resume(returning: answer) }
      }
    } onCancel: {
      cancel(id)
    }
    guard isGranted else { throw CancellationError() }
  }

  func update(_ body: (inout Value) -> Void) { change(body) }

  /// Changes the value, and lets go on whoever may now.
  @discardableResult
  func change<Result: Sendable>(_ change: (inout Value) -> Result) -> Result {
    let (result, ready) = state.withLock { state -> (Result, [Waiter]) in
      let result = change(&state.value)
      var ready: [Waiter] = []
      while let first = state.waiters.first, first.enter(&state.value) { ready.append(state.waiters.removeFirst()) }
      return (result, ready)
    }
    for waiter in ready { waiter.continuation.resume(returning: true) }
    return result
  }

  private func cancel(_ id: UInt64) {
    let waiter = state.withLock { state -> Waiter? in
      guard let index = state.waiters.firstIndex(where: { $0.id == id }) else {
        state.cancelled.insert(id)
        return nil
      }
      return state.waiters.remove(at: index)
    }
    waiter?.continuation.resume(returning: false)
  }
}
