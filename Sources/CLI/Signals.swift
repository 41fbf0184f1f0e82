import Glibc
import Synchronization

/// SIGTERM and SIGINT: the first asks for a clean end, the second ends the process at once.
///
/// By a handler and a pipe, not by blocked signals and `sigwait`: the main queue's own thread waits with every signal
/// unblocked, so a blocked one would be delivered there and end the process. The listening thread never waits for
/// anything but the next signal, so that a second one is heard whatever the first one's work is stuck in.
enum Signals {
  private static let stop = Mutex<(@Sendable () -> Void)?>(nil)
  /// The pipe's write end; the handler may do no more than write to it.
  private static let bell = Atomic<Int32>(-1)

  /// Installs the handlers, and a thread that listens to them.
  static func listen() {
    var ends: [Int32] = [-1, -1]
    precondition(pipe(&ends) == 0, "no pipe for signals: errno \(errno)")
    bell.store(ends[1], ordering: .sequentiallyConsistent)
    for number in [SIGINT, SIGTERM] {
      signal(number) { number in
        var byte = UInt8(truncatingIfNeeded: number)
        _ = write(Signals.bell.load(ordering: .sequentiallyConsistent), &byte, 1)
      }
    }
    let source = UnsafeMutableRawPointer(bitPattern: Int(ends[0]) + 1)
    var thread = pthread_t()
    pthread_create(&thread, nil, { Signals.wait(on: Int32(Int(bitPattern: $0) - 1)) }, source)
    pthread_detach(thread)
  }

  /// Until this is called, the first signal ends the process at once: nothing has begun. `body` must not block.
  static func onFirst(_ body: @escaping @Sendable () -> Void) { stop.withLock { $0 = body } }

  private static func wait(on source: Int32) -> Never {
    while true {
      var number: UInt8 = 0
      guard read(source, &number, 1) == 1 else { continue }
      let body = stop.withLock { body in
        defer { body = nil }
        return body
      }
      guard let body else { _exit(128 + Int32(number)) }
      body()
    }
  }
}
