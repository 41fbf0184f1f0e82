internal import Glibc
internal import NebulaCore

/// What a reader's thread hands to the merge point.
enum Delivery: Sendable {
  /// Events, or only a newer place.
  case stream(StreamDelivery)
  /// Copied rows, or only the end of a range.
  case rows(RowsDelivery)
}

/// Events of the stream, up to `through`.
struct StreamDelivery: Sendable {
  var draft: Draft?
  var through: StreamStart
  var sequence: SequenceState
  /// The server's newest operation.
  var newest: UInt64?
  /// With this delivery all events up to this cluster time have been handed over.
  var settled: UInt64?
}

/// Rows of one range.
struct RowsDelivery: Sendable {
  var range: Int32
  var draft: Draft?
  var lastKey: [UInt8]?
  var isDone: Bool
  /// The server's newest operation.
  var newest: UInt64?
}

/// Why a reader ended before its time.
enum ReaderEnd: Error, Sendable {
  /// The server no longer has the stream's place.
  case lost(NebulaError)
  case failed(NebulaError)
}

/// Which of the two lanes comes next: while a copy runs the stream gets every fourth turn, and every turn that the
/// copy does not need, so that its token stays young.
struct Turns: Sendable {
  static let copyTurns = 3
  private var taken = 0

  /// True to take from the stream, false from the copy, nil when both are empty.
  mutating func next(stream: Bool, copy: Bool) -> Bool? {
    guard stream || copy else { return nil }
    let choice = stream && (!copy || taken >= Self.copyTurns)
    taken = choice ? 0 : taken + 1
    return choice
  }
}

/// The bounded queue between the readers' threads and the merge point. Threads wait on a condition, the one reader of
/// the other end waits as a task.
final class Handoff: @unchecked Sendable {  // everything below is guarded by `lock`
  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let room = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  /// A clock that nobody sets: a step back of the wall clock would make every nap as much longer.
  private static let clock = CLOCK_MONOTONIC
  private let depth: Int
  private var stream: [Delivery] = []
  private var copy: [Delivery] = []
  private var streamEnd: ReaderEnd?
  private var copyEnd: ReaderEnd?
  private var turns = Turns()
  private var isClosed = false
  private var running = 0
  private var waiter: CheckedContinuation<Void, Never>?

  /// At most `depth` deliveries wait in each lane.
  init(depth: Int) {
    self.depth = depth
    pthread_mutex_init(lock, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, Self.clock)
    pthread_cond_init(room, &attributes)
    pthread_condattr_destroy(&attributes)
  }
  deinit {
    pthread_cond_destroy(room)
    pthread_mutex_destroy(lock)
    room.deallocate()
    lock.deallocate()
  }

  private func locked<R>(_ body: () -> R) -> R {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    return body()
  }

  // MARK: the threads' side

  /// True when the readers are to end.
  var isStopped: Bool { locked { isClosed } }

  /// Waits for room; false when the readers are to end.
  func push(_ delivery: Delivery) -> Bool {
    let woken = locked { () -> CheckedContinuation<Void, Never>?? in
      while !isClosed, isFull(delivery) { pthread_cond_wait(room, lock) }
      guard !isClosed else { return nil }
      if case .stream = delivery { stream.append(delivery) } else { copy.append(delivery) }
      return .some(takeWaiter())
    }
    guard let woken else { return false }
    woken?.resume()
    return true
  }

  private func isFull(_ delivery: Delivery) -> Bool {
    if case .stream = delivery { stream.count >= depth } else { copy.count >= depth }
  }

  /// A reader ended with an error; it shows once its lane is empty.
  func end(_ reason: ReaderEnd, ofStream: Bool) {
    let woken = locked {
      if ofStream { streamEnd = streamEnd ?? reason } else { copyEnd = copyEnd ?? reason }
      return takeWaiter()
    }
    woken?.resume()
  }

  /// Waits for a while, or until the readers are to end.
  func nap(_ duration: Duration) {
    var until = Self.time(after: duration)
    locked {
      while !isClosed, pthread_cond_timedwait(room, lock, &until) == 0 {}
    }
  }

  /// The time on the naps' clock.
  static func time(after duration: Duration) -> timespec {
    var time = timespec()
    clock_gettime(clock, &time)
    let nanoseconds = Int(time.tv_nsec) + Int(duration.components.attoseconds / 1_000_000_000)
    time.tv_sec += Int(duration.components.seconds) + nanoseconds / 1_000_000_000
    time.tv_nsec = nanoseconds % 1_000_000_000
    return time
  }

  func started() { locked { running += 1 } }
  func ended() {
    let woken = locked {
      running -= 1
      return takeWaiter()
    }
    woken?.resume()
  }

  // MARK: the merge point's side

  private enum Next {
    case delivery(Delivery)
    case end(ReaderEnd)
    case nothing
    case closed
  }

  /// The next delivery; nil when none came within `timeout`. Throws what ended a reader, and `CancellationError` once
  /// the hand-off is closed.
  func next(within timeout: Duration, _ clock: Timekeeper) async throws -> Delivery? {
    for attempt in 0...1 {
      switch takeNext() {
      case .delivery(let delivery): return delivery
      case .end(let reason): throw reason
      case .closed: throw CancellationError()
      case .nothing: if attempt == 0 { try await wait(timeout, clock) }
      }
    }
    return nil
  }

  private func takeNext() -> Next {
    locked {
      guard !isClosed else { return .closed }
      let wantsStream = turns.next(stream: !stream.isEmpty, copy: !copy.isEmpty)
      guard let wantsStream else { return (streamEnd ?? copyEnd).map(Next.end) ?? .nothing }
      if stream.isEmpty, let streamEnd { return .end(streamEnd) }
      if copy.isEmpty, let copyEnd { return .end(copyEnd) }
      let delivery = wantsStream ? stream.removeFirst() : copy.removeFirst()
      pthread_cond_broadcast(room)
      return .delivery(delivery)
    }
  }

  private func wait(_ timeout: Duration, _ clock: Timekeeper) async throws {
    let timer = Task {
      try await clock.sleep(timeout)
      wake()
    }
    defer { timer.cancel() }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isReady = locked {
          let isReady =
            !stream.isEmpty || !copy.isEmpty || streamEnd != nil || copyEnd != nil || isClosed || Task.isCancelled
          if !isReady { waiter = continuation }
          return isReady
        }
        if isReady { continuation.resume() }
      }
    } onCancel: {
      wake()
    }
    try Task.checkCancellation()
  }

  private func wake() { locked { takeWaiter() }?.resume() }
  private func takeWaiter() -> CheckedContinuation<Void, Never>? {
    defer { waiter = nil }
    return waiter
  }

  /// Ends the readers; what they had still to hand over is let go.
  func close() {
    let woken = locked {
      isClosed = true
      stream = []
      copy = []
      pthread_cond_broadcast(room)
      return takeWaiter()
    }
    woken?.resume()
  }

  /// How many readers have not ended yet.
  var readers: Int { locked { running } }
}
