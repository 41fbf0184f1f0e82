/// One request whose answer several tasks want.
///
/// A task that is cancelled stops waiting at once; when nobody waits any more, the request is cancelled too. Waiting for
/// the value of a `Task` would not end before the server answers, however the shutdown's deadline passes.
package struct SharedRequest<Answer: Sendable>: Sendable {
  private struct State {
    var answer: Result<Answer, any Error>?
    var waiting = 0
    var isGivenUp = false
  }
  private let state: Watched<State>
  private let task: Task<Void, Never>

  /// Starts the request.
  package init(_ body: @escaping @Sendable () async throws -> Answer) {
    let state = Watched(State())
    self.state = state
    task = Task {
      let answer: Result<Answer, any Error>
      do { answer = .success(try await body()) } catch { answer = .failure(error) }
      state.update { $0.answer = answer }
    }
  }

  /// Whether whoever comes now may wait for it too: it has no answer yet, and was not given up.
  package var isUnderway: Bool {
    let state = state.value
    return state.answer == nil && !state.isGivenUp
  }

  /// The answer. Throws its error, or `CancellationError` when the waiting task is cancelled first.
  package func answer() async throws -> Answer {
    state.update { $0.waiting += 1 }
    do {
      return try await state.wait { $0.answer }.get()
    } catch {
      leave()
      throw error
    }
  }

  private func leave() {
    var isLast = false
    state.update { state in
      state.waiting -= 1
      isLast = state.waiting == 0
      if isLast { state.isGivenUp = true }
    }
    if isLast { task.cancel() }
  }
}
