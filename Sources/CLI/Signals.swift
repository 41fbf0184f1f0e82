import Glibc
import Synchronization

/// SIGTERM and SIGINT: the first asks for a clean end, the second ends the process at once.
enum Signals {
  private static let stop = Mutex<(@Sendable () -> Void)?>(nil)
  /// The handler may do little more than write a byte: it writes the signal's number here, and a thread reads it.
  /// (Blocking the signals and `sigwait` would be simpler, but libdispatch's threads take them out of the mask.)
  private static let ends: (read: Int32, write: Int32) = {
    var pair: [Int32] = [-1, -1]
    precondition(pipe(&pair) == 0, "no pipe could be made: \(errno)")
    for end in pair { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (pair[0], pair[1])
  }()

  /// Catches both, and waits for them in a thread of its own.
  static func watch() {
    _ = ends  // made here, never inside the handler
    var thread = pthread_t()
    pthread_create(&thread, nil, { _ in Signals.wait() }, nil)
    pthread_detach(thread)
    for number in [SIGINT, SIGTERM] {
      signal(number) { number in
        let before = errno
        var byte = UInt8(truncatingIfNeeded: number)
        _ = write(Signals.ends.write, &byte, 1)
        errno = before
      }
    }
  }

  /// Until this is called, the first signal ends the process at once: nothing has begun.
  static func onFirst(_ body: @escaping @Sendable () -> Void) { stop.withLock { $0 = body } }

  private static func wait() -> Never {
    var byte: UInt8 = 0
    while true {
      guard read(ends.read, &byte, 1) == 1 else { continue }
      let body = stop.withLock { body in
        defer { body = nil }
        return body
      }
      guard let body else { _exit(128 + Int32(byte)) }
      body()
    }
  }
}
