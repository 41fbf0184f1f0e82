internal import Synchronization

/// One budget in bytes for everything in flight (Invariant 6): who wants to hold bytes waits here until others let go.
///
/// Two shares keep it free of deadlock. Sources reserve `input`, at most half of the budget; encoders reserve `output`,
/// the rest. Input is given back when a batch has been encoded, which needs output only, and output is given back when
/// an upload or a write to disk ends, which needs nothing. A request larger than its share is granted once the share
/// is unused, so a single huge document passes, alone.
public final class MemoryBudget: Sendable {
  /// What the bytes are for.
  public enum Share: Sendable, Hashable { case input, output }

  /// Bytes held; give them back by `release`, or by letting go of the object.
  public final class Reservation: Sendable {
    private let held: Atomic<Int>
    private let share: Share
    private let budget: MemoryBudget
    fileprivate init(_ bytes: Int, _ share: Share, _ budget: MemoryBudget) {
      held = Atomic(bytes)
      self.share = share
      self.budget = budget
    }
    /// How many bytes are still held.
    public var bytes: Int { held.load(ordering: .acquiring) }
    /// Gives the bytes back; doing it again changes nothing.
    public func release() { shrink(to: 0) }
    /// Gives back all but `bytes`: for who had to ask before the true size was known.
    public func shrink(to bytes: Int) {
      var before = held.load(ordering: .acquiring)
      while before > bytes {
        let (exchanged, original) = held.compareExchange(
          expected: before, desired: max(0, bytes), ordering: .acquiringAndReleasing)
        if exchanged { return budget.giveBack(before - max(0, bytes), share) }
        before = original
      }
    }
    deinit { release() }
  }

  private struct Waiter {
    let id: UInt64
    let bytes: Int
    let resume: @Sendable (Reservation?) -> Void
  }
  private struct Pool {
    let limit: Int
    var used = 0
    var waiters: [Waiter] = []
    func fits(_ bytes: Int) -> Bool { used == 0 || bytes <= limit - used }
  }
  private struct State {
    var input: Pool
    var output: Pool
    var nextWaiter: UInt64 = 0
    subscript(share: Share) -> Pool {
      get { share == .input ? input : output }
      set { if share == .input { input = newValue } else { output = newValue } }
    }
  }
  private let state: Mutex<State>
  /// All bytes that may be in flight.
  public let limit: Int

  /// A budget of `bytes`, half for each share.
  public init(bytes: Int) {
    limit = bytes
    state = Mutex(State(input: Pool(limit: bytes / 2), output: Pool(limit: bytes - bytes / 2)))
  }

  /// Bytes in flight now.
  public var inFlight: Int { state.withLock { $0.input.used + $0.output.used } }

  /// How many wait for bytes of `share`.
  public func waiting(for share: Share) -> Int { state.withLock { $0[share].waiters.count } }

  /// Takes `bytes` if they are free now.
  public func tryReserve(_ bytes: Int, for share: Share) -> Reservation? {
    state.withLock { state in
      guard state[share].waiters.isEmpty, state[share].fits(bytes) else { return nil }
      state[share].used += bytes
      return Reservation(bytes, share, self)
    }
  }

  /// Waits for `bytes`, in the order of asking. Throws `CancellationError` when the task is cancelled meanwhile.
  public func reserve(_ bytes: Int, for share: Share) async throws -> Reservation {
    let id = newWaiter()
    let reservation = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        wait(Waiter(id: id, bytes: bytes) { continuation.resume(returning: $0) }, share)
        if Task.isCancelled { cancel(id, share) }
      }
    } onCancel: {
      cancel(id, share)
    }
    guard let reservation else { throw CancellationError() }
    return reservation
  }

  /// The same for a thread of its own that may block, in the same order; nil when `isStopped` says so, which is asked
  /// after each `nap`.
  public func reserveBlocking(
    _ bytes: Int, for share: Share, nap: () -> Void, isStopped: () -> Bool
  ) -> Reservation? {
    guard !isStopped() else { return nil }
    let (id, grant) = (newWaiter(), Grant())
    wait(Waiter(id: id, bytes: bytes) { grant.give($0) }, share)
    while true {
      if let reservation = grant.take() { return reservation }
      guard !isStopped() else { break }
      nap()
    }
    cancel(id, share)
    return nil
  }

  /// Where a blocked thread finds what it was granted; what nobody takes is given back with it.
  private final class Grant: Sendable {
    private let reservation = Mutex<Reservation?>(nil)
    func give(_ given: Reservation?) { reservation.withLock { $0 = given } }
    func take() -> Reservation? {
      reservation.withLock { given in
        defer { given = nil }
        return given
      }
    }
  }

  private func newWaiter() -> UInt64 {
    state.withLock { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
  }

  private func wait(_ waiter: Waiter, _ share: Share) {
    let granted = state.withLock { state -> Bool in
      guard state[share].waiters.isEmpty, state[share].fits(waiter.bytes) else {
        state[share].waiters.append(waiter)
        return false
      }
      state[share].used += waiter.bytes
      return true
    }
    if granted { waiter.resume(Reservation(waiter.bytes, share, self)) }
  }

  private func cancel(_ id: UInt64, _ share: Share) {
    let waiter = state.withLock { state -> Waiter? in
      guard let index = state[share].waiters.firstIndex(where: { $0.id == id }) else { return nil }
      return state[share].waiters.remove(at: index)
    }
    waiter?.resume(nil)
    grant(share)
  }

  private func giveBack(_ bytes: Int, _ share: Share) {
    state.withLock { $0[share].used -= bytes }
    grant(share)
  }

  /// Resumes those who wait, in order, as far as they fit; outside the lock, so that a resumed task may reserve again.
  private func grant(_ share: Share) {
    while true {
      let next = state.withLock { state -> Waiter? in
        guard let first = state[share].waiters.first, state[share].fits(first.bytes) else { return nil }
        state[share].waiters.removeFirst()
        state[share].used += first.bytes
        return first
      }
      guard let next else { return }
      next.resume(Reservation(next.bytes, share, self))
    }
  }
}
