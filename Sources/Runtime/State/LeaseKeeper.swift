internal import Glibc
internal import NebulaCore
internal import Synchronization

/// A thread of its own that calls `renew` at every interval until it says "no more" or `stop` is called: a pipeline
/// that is busy, or a cooperative pool that is blocked, must not cost the lease.
final class LeaseKeeper: Sendable {
  private let stopped = Atomic(false)
  private let interval: Duration
  private let renew: @Sendable () -> Bool
  private let ends: (read: Int32, write: Int32)  // a pipe: writing to it wakes the thread

  /// Starts the thread.
  init(every interval: Duration, _ renew: @escaping @Sendable () -> Bool) {
    self.interval = interval
    self.renew = renew
    var pair: [Int32] = [-1, -1]
    precondition(pipe(&pair) == 0, "no pipe could be made: \(errno)")
    for end in pair { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    ends = (pair[0], pair[1])
    var thread = pthread_t()
    let status = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<LeaseKeeper>.fromOpaque(argument).takeRetainedValue().loop()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    precondition(status == 0, "no thread could be started: \(status)")
    pthread_detach(thread)
  }
  deinit {
    close(ends.read)
    close(ends.write)
  }

  /// Ends the thread; a renewal that is under way is finished.
  func stop() {
    stopped.store(true, ordering: .releasing)
    var byte: UInt8 = 0
    write(ends.write, &byte, 1)
  }

  private func loop() {
    var events = pollfd(fd: ends.read, events: Int16(POLLIN), revents: 0)
    while true {
      while poll(&events, 1, Int32(clamping: interval.wholeMilliseconds)) < 0, errno == EINTR {}
      if stopped.load(ordering: .acquiring) || !renew() { return }
    }
  }
}
