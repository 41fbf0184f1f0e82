internal import Glibc
internal import NebulaCore
internal import Synchronization

/// Runs `body` on a thread of its own. Nobody waits for the thread: one that hangs in the driver ends by itself.
func startThread(_ body: @escaping @Sendable () -> Void) {
  final class Box {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  var thread = pthread_t()
  let status = pthread_create(
    &thread, nil,
    { argument in
      guard let argument else { return nil }
      Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
      return nil
    }, Unmanaged.passRetained(Box(body)).toOpaque())
  precondition(status == 0, "no thread could be started: \(status)")
  pthread_detach(thread)
}

/// Does blocking work on a thread of its own. When the task is cancelled it is left behind, and its result let go.
func onThread<R: Sendable>(_ work: @escaping @Sendable () throws -> R) async throws -> R {
  let answer = Answer<R>()
  startThread { answer.set(Result { try work() }) }
  return try await withTaskCancellationHandler {
    try await withCheckedThrowingContinuation { answer.wait($0) }
  } onCancel: {
    answer.set(.failure(CancellationError()))
  }
}

/// A result that is set once and waited for once, in either order.
private final class Answer<R: Sendable>: Sendable {
  private enum State {
    case nothing
    case waiting(CheckedContinuation<R, any Error>)
    case known(Result<R, any Error>)
    case over
  }
  private let state = Mutex(State.nothing)

  func set(_ result: Result<R, any Error>) {
    let waiting = state.withLock { state -> CheckedContinuation<R, any Error>? in
      switch state {
      case .nothing: state = .known(result)
      case .waiting(let continuation):
        state = .over
        return continuation
      case .known, .over: break
      }
      return nil
    }
    waiting?.resume(with: result)
  }

  func wait(_ continuation: CheckedContinuation<R, any Error>) {
    let known = state.withLock { state -> Result<R, any Error>? in
      guard case .known(let result) = state else {
        state = .waiting(continuation)
        return nil
      }
      state = .over
      return result
    }
    if let known { continuation.resume(with: known) }
  }
}
