import Glibc
import Synchronization

/// SIGTERM and SIGINT: the first asks for a clean end, the second ends the process at once.
enum Signals {
  private static let stop = Mutex<(@Sendable () -> Void)?>(nil)

  private static var watched: sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGINT)
    sigaddset(&set, SIGTERM)
    return set
  }

  /// Blocks both in this thread, and in all that it starts, and waits for them in a thread of its own.
  static func block() {
    var set = watched
    pthread_sigmask(SIG_BLOCK, &set, nil)
    var thread = pthread_t()
    pthread_create(&thread, nil, { _ in Signals.wait() }, nil)
    pthread_detach(thread)
  }

  /// Until this is called, the first signal ends the process at once: nothing has begun.
  static func onFirst(_ body: @escaping @Sendable () -> Void) { stop.withLock { $0 = body } }

  private static func wait() -> Never {
    var set = watched
    while true {
      var number: Int32 = 0
      guard sigwait(&set, &number) == 0 else { continue }
      let body = stop.withLock { body in
        defer { body = nil }
        return body
      }
      guard let body else { _exit(128 + number) }
      body()
    }
  }
}
